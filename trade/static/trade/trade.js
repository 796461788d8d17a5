// What the page does besides htmx: what refreshes by itself, what is said when no answer comes, keys in the chain.
(function () {
    "use strict";

    const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));
    const paused = new Set();
    const announce = (text) => { document.getElementById("announcement").textContent = text; };

    // --- what refreshes by itself: not while the page is hidden, nor while its reader has paused it --------------------
    document.addEventListener("htmx:beforeRequest", function (event) {
        const source = event.detail.elt;
        if (!source.matches("[data-poll]")) return;
        const waits = source.id === "following" && document.querySelector("[data-order].htmx-request, [data-unknown]:not([hidden])");
        const box = document.getElementById("notify");
        const listens = source.id === "book" && box !== null && box.checked; // an order that is done is told all the same
        if ((document.hidden && !listens) || paused.has(source.id) || waits) event.preventDefault();
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

    // --- what the reader has switched on stays so, on this device -----------------------------------------------------
    function recall() {
        all("[data-keep]").forEach((box) => { box.checked = localStorage.getItem(box.id) === "on"; });
    }
    document.addEventListener("change", function (event) {
        if (event.target.matches("[data-keep]")) localStorage.setItem(event.target.id, event.target.checked ? "on" : "off");
    });
    document.addEventListener("htmx:load", recall);
    recall();

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
            if (!source.matches("[data-poll], [data-ask]")) announce(document.getElementById("announcement").dataset.tooFast);
        } else if (status >= 400 && status < 500) {
            document.getElementById("outdated").hidden = false; // refused for good: nothing was done
        } else if (source.matches("[data-order]")) {
            askAfter(source);
        } else if (!source.matches("[data-ask]")) {
            offline.querySelector("[data-since]").textContent = heardAt.toLocaleTimeString([], { timeZoneName: "short" });
            offline.hidden = false;
        }
    }

    // What was refreshed while an order was under way tells of before it: its own answers bring what is new.
    document.addEventListener("htmx:beforeSwap", function (event) {
        const isSettled = event.detail.xhr.status === 286; // the last answer to what asks again and again
        if (isSettled || event.detail.elt.matches("[data-order]")) htmx.trigger("#book", "htmx:abort");
    });

    // What an order has changed is in its answer, but for the portfolio over time, which is asked for then.
    document.addEventListener("htmx:afterSettle", function (event) {
        if (event.detail.target.id === "ticket" && event.detail.target.querySelector(".done")) htmx.trigger("#portfolio", "refresh");
    });

    // An order without an answer may have been taken: its name is asked for until there is an order of it, or a new ticket.
    function askAfter(form) {
        form.querySelector("[data-unknown]").hidden = false;
        form.querySelector("[name=again]").disabled = false;
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

    // --- keys ------------------------------------------------------------------------------------------------------
    const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

    document.addEventListener("keydown", function (event) {
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

    all("[data-unknown]:not([hidden])").forEach((shown) => askAfter(shown.closest("form")));
})();
