// The ticket: opened and closed at once, on a slow line too; a place of its own for the browser's Back; a sheet on narrow
// screens; the countdown of a firm price; where the keyboard is.
(function () {
    "use strict";

    const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));
    const byId = (id) => document.getElementById(id);
    const ticket = byId("ticket");
    const narrow = window.matchMedia("(max-width: 63.99rem)");
    const isOpen = () => ticket.querySelector(".ticket-head") !== null;
    let opener = null;
    let openedOver = null; // the address that Back leads to from the ticket

    // --- a sheet over the chain: what is under it cannot be reached ------------------------------------------------------
    function lay() {
        const covers = isOpen() && narrow.matches;
        all(".bar, #market, #book, #portfolio, .is-notify").forEach((part) => { part.inert = covers; });
        document.documentElement.classList.toggle("has-sheet", covers);
    }
    narrow.addEventListener("change", lay);

    // --- opening and closing -----------------------------------------------------------------------------------------
    function show(template, title) {
        const made = byId(template).content.cloneNode(true);
        if (title) made.querySelector("h2").textContent = title;
        ticket.replaceChildren(made);
        lay();
    }

    function opens(link) {
        opener = link.id;
        show("ticket-coming", link.dataset.opens);
        const address = new URL(link.href);
        if (history.state && history.state.ticket) {
            history.replaceState({ ticket: true }, "", address.pathname + address.search);
        } else {
            openedOver = location.pathname + location.search;
            history.pushState({ ticket: true }, "", address.pathname + address.search);
        }
    }

    // What was asked for the ticket is not wanted any more; an order that is under way is, and shows itself again.
    function empty() {
        all("a.htmx-request[data-opens], #ticket form:not([data-order])").forEach((source) => htmx.trigger(source, "htmx:abort"));
        show("ticket-empty");
        const back = opener && byId(opener);
        if (back) back.focus();
    }

    function away() {
        if (history.state && history.state.ticket) return history.back();
        empty();
        const address = new URL(location.href);
        ["symbol", "position", "closing", "contracts", "client_order_id"].forEach((name) => address.searchParams.delete(name));
        return history.replaceState(history.state, "", address.pathname + address.search);
    }

    window.addEventListener("popstate", function (event) {
        const asked = new URLSearchParams(location.search);
        if (openedOver === location.pathname + location.search) {
            event.stopImmediatePropagation(); // htmx would load the page anew
            if (isOpen()) empty();
        } else if (history.state && history.state.ticket && ["symbol", "position", "closing"].some((name) => asked.has(name))) {
            openedOver = null;
            htmx.ajax("GET", ticket.dataset.address + location.search, { target: "#ticket", swap: "innerHTML" });
        }
    });

    document.addEventListener("htmx:beforeRequest", function (event) {
        const source = event.detail.elt;
        if (source.matches("[data-opens]") && !event.defaultPrevented) opens(source);
    });
    document.addEventListener("click", function (event) {
        if (event.target.closest("[data-escape], #backdrop")) {
            event.preventDefault();
            away();
        }
        const sized = event.target.closest("[data-set-contracts]");
        if (sized) {
            byId("contracts").value = sized.dataset.setContracts;
            byId("contracts").dispatchEvent(new Event("input", { bubbles: true }));
        }
    });
    document.addEventListener("keydown", function (event) {
        if (event.key === "Escape" && isOpen()) away();
    });

    // --- the countdown of a firm price ---------------------------------------------------------------------------------
    let counting = null;

    function count(place) {
        clearInterval(counting);
        const end = performance.now() + Number(place.dataset.endsInMs);
        const text = place.querySelector("[data-countdown]");
        const tick = function () {
            const left = Math.ceil((end - performance.now()) / 1000);
            if (!place.isConnected) return clearInterval(counting);
            if (left > 0) {
                text.textContent = place.dataset.firmFor.replace("N", left);
                return undefined;
            }
            clearInterval(counting);
            text.textContent = place.dataset.expired;
            byId("announcement").textContent = place.dataset.expired;
            return expire(place.closest("#ticket"));
        };
        counting = setInterval(tick, 200);
        tick();
    }

    function expire(ticket) {
        all("[data-while-firm]", ticket).forEach(function (button) {
            const held = document.activeElement === button;
            // An order that is under way, or whose outcome is unknown, can still be sent again: it is the same one.
            const unknown = button.form.querySelector("[data-unknown]");
            if (button.disabled || (unknown && !unknown.hidden)) return;
            button.hidden = true;
            const renew = ticket.querySelector("[data-when-expired]");
            renew.classList.add("primary");
            if (held) renew.focus();
        });
    }

    // --- what has come: the countdown begins, and the keyboard goes where it is wanted ---------------------------------
    // Not before htmx has made the new links and forms its own: a key that is pressed at once would load the whole page.
    document.addEventListener("htmx:afterSettle", function (event) {
        if (event.detail.target.id !== "ticket") return;
        const place = ticket.querySelector("[data-ends-in-ms]");
        if (place) count(place);
        lay();
        const first = ["[data-focus]", "[data-while-firm]", "[data-select]", "#ticket-title[tabindex]"]
            .map((selector) => ticket.querySelector(selector)).find(Boolean);
        if (first) {
            first.focus();
            if (first.select) first.select();
        } else if (opener && byId(opener)) {
            byId(opener).focus();
        }
    });
    // A sum in USDT says how many contracts, and these say nothing of a sum: the one that is written in counts.
    document.addEventListener("htmx:afterSettle", function () {
        const sized = byId("sized");
        if (sized && byId("usdt").value) byId("contracts").value = sized.dataset.contracts;
    });
    document.addEventListener("input", function (event) {
        if (event.target.id === "contracts" && byId("usdt")) byId("usdt").value = "";
        all("[data-same-as='" + event.target.id + "']", ticket).forEach((hidden) => { hidden.value = event.target.value; });
    });
    ["htmx:sendError", "htmx:timeout", "htmx:responseError"].forEach((name) => document.addEventListener(name, function (event) {
        if (event.detail.elt.matches("[data-opens]") && ticket.querySelector(".coming")) {
            ticket.querySelector("[role=status]").textContent = ticket.dataset.none;
        }
    }));

    // A page that was loaded with a ticket on it.
    const place = ticket.querySelector("[data-ends-in-ms]");
    if (place) count(place);
    lay();
})();
