// What the page does besides htmx: the countdown of a firm price, what is said when no answer comes, keys and focus.
(function () {
    "use strict";

    const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));
    const paused = new Set();
    const announce = (text) => { document.getElementById("announcement").textContent = text; };

    // --- what refreshes by itself: not while the page is hidden, nor while its reader has paused it --------------------
    document.addEventListener("htmx:beforeRequest", function (event) {
        const source = event.detail.elt;
        if (source.matches("[data-poll]") && (document.hidden || paused.has(source.id))) event.preventDefault();
    });
    document.addEventListener("visibilitychange", function () {
        if (!document.hidden) all("[data-poll]").forEach((part) => htmx.trigger(part, "refresh"));
    });
    all("[data-pause]").forEach(function (button) {
        button.hidden = false;
        button.addEventListener("click", function () {
            const name = button.dataset.pause;
            const pausing = !paused.has(name);
            pausing ? paused.add(name) : paused.delete(name);
            button.setAttribute("aria-pressed", String(pausing));
            if (!pausing) htmx.trigger("#" + name, "refresh");
        });
    });

    // --- no answer, or one that cannot be shown ----------------------------------------------------------------------
    let heardAt = new Date();
    const offline = document.getElementById("offline");

    document.addEventListener("htmx:afterOnLoad", function (event) {
        if (event.detail.xhr.status >= 500) return;
        heardAt = new Date();
        offline.hidden = true;
    });
    ["htmx:sendError", "htmx:timeout", "htmx:responseError"].forEach((name) => document.addEventListener(name, fail));

    function fail(event) {
        const source = event.detail.elt;
        const status = event.detail.xhr.status;
        if (status === 429) {
            if (!source.matches("[data-poll], [data-ask]")) announce("Too fast: nothing was done. Try again in a moment.");
        } else if (status >= 400 && status < 500) {
            document.getElementById("outdated").hidden = false; // refused for good: nothing was done
        } else if (source.matches("[data-order]")) {
            askAfter(source);
        } else if (!source.matches("[data-ask]")) {
            offline.querySelector("[data-since]").textContent = heardAt.toLocaleTimeString();
            offline.hidden = false;
        }
    }

    // An order without an answer may have been taken: its name is asked for until there is an order of it, or a new ticket.
    function askAfter(form) {
        form.querySelector("[data-unknown]").hidden = false;
        const asking = form.querySelector("[data-ask]");
        const timer = setInterval(function () {
            if (asking.isConnected) htmx.trigger(asking, "ask");
            else clearInterval(timer);
        }, 2000);
        htmx.trigger(asking, "ask");
    }

    document.addEventListener("htmx:beforeRequest", function (event) {
        const unsent = event.detail.elt.querySelector("[data-unsent]");
        if (!unsent) return;
        unsent.hidden = navigator.onLine;
        if (!navigator.onLine) event.preventDefault();
    });

    // --- the ticket --------------------------------------------------------------------------------------------------
    let opener = null;
    let counting = null;

    function count(place) {
        clearInterval(counting);
        const end = performance.now() + Number(place.dataset.endsInMs);
        const text = place.querySelector("[data-countdown]");
        const tick = function () {
            const left = Math.ceil((end - performance.now()) / 1000);
            if (!place.isConnected) return clearInterval(counting);
            if (left > 0) {
                text.textContent = "Firm for " + left + (left === 1 ? " second." : " seconds.");
                return undefined;
            }
            clearInterval(counting);
            text.textContent = "This price has expired. Nothing was bought or closed.";
            announce("The price has expired.");
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

    document.addEventListener("click", function (event) {
        const link = event.target.closest("a[hx-target='#ticket']");
        if (link && !link.closest("#ticket")) opener = link.id;
    });
    // Not before htmx has made the new links and forms its own: a key that is pressed at once would load the whole page.
    document.addEventListener("htmx:afterSettle", function (event) {
        if (event.detail.target.id !== "ticket") return;
        const ticket = event.detail.target;
        const place = ticket.querySelector("[data-ends-in-ms]");
        if (place) count(place);
        all("[data-same-as]", ticket).forEach(copyContracts);
        const first = ["[data-focus]", "[data-while-firm]", "[data-select]", "#ticket-title[tabindex]"]
            .map((selector) => ticket.querySelector(selector)).find(Boolean);
        if (first) {
            first.focus();
            if (first.select) first.select();
        } else if (opener && document.getElementById(opener)) {
            document.getElementById(opener).focus();
        }
    });

    function copyContracts(hidden) {
        const shown = document.getElementById(hidden.dataset.sameAs);
        shown.addEventListener("input", () => { hidden.value = shown.value; });
    }

    // --- keys ------------------------------------------------------------------------------------------------------
    const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

    document.addEventListener("keydown", function (event) {
        if (event.key === "Escape") {
            const away = document.querySelector("[data-escape]");
            if (away) away.click();
            return;
        }
        const here = event.target.closest(".prices a.price");
        if (!here || !STEPS[event.key]) return;
        const [down, right] = STEPS[event.key];
        const rows = all(".prices tbody tr").map((row) => all("a.price", row).filter((link) => link.offsetParent));
        const at = rows.findIndex((row) => row.includes(here));
        const kind = here.closest("td").classList.contains("put") ? "put" : "call";
        const next = right
            ? rows[at][rows[at].indexOf(here) + right]
            : rows[at + down] && rows[at + down].find((link) => link.closest("td").classList.contains(kind));
        if (next) {
            event.preventDefault();
            next.focus();
        }
    });

    // A page that was loaded with a ticket on it.
    const place = document.querySelector("[data-ends-in-ms]");
    if (place) count(place);
    all("[data-same-as]").forEach(copyContracts);
    all("[data-unknown]:not([hidden])").forEach((shown) => askAfter(shown.closest("form")));
})();
