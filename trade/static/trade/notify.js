// Tells what has become of orders: in the page always, as a notification of the browser where that was switched on.
(function () {
    "use strict";

    const MOST_AT_ONCE = 3; // of who trades by a program: what is told is read by a person
    const shown = document.getElementById("told");
    const box = document.getElementById("notify");
    const rows = () => Array.from(document.querySelectorAll("#book tr[data-order-state]"));
    const read = () => new Map(rows().map((row) => [row.id, row.dataset.orderState]));
    let before = read();

    function tell(row) {
        const text = row.dataset.told;
        shown.textContent = text;
        shown.hidden = false;
        clearTimeout(tell.timer);
        tell.timer = setTimeout(() => { shown.hidden = true; }, 8000);
        if (box && box.checked && document.hidden && "Notification" in window && Notification.permission === "granted") {
            new Notification("Crossbook", { body: text, tag: row.id });
        }
    }

    // After anything that came: an order's own answer brings the list too. One that was done before it was seen is told as well.
    document.addEventListener("htmx:afterSettle", function () {
        const now = read();
        rows().filter((row) => row.dataset.orderState === "SETTLED" && before.get(row.id) !== "SETTLED")
            .slice(0, MOST_AT_ONCE).reverse().forEach(tell);
        before = now;
    });

    if (!box || !("Notification" in window)) return;
    box.closest("[hidden]").hidden = false;
    box.addEventListener("change", function () {
        if (!box.checked) return;
        Notification.requestPermission().then(function (answer) {
            if (answer === "granted") return;
            box.checked = false;
            box.dispatchEvent(new Event("change", { bubbles: true }));
        });
    });
})();
