// An htmx swap that keeps what is there: what refreshes by itself must not take the focus, the selection or the place of
// a screen reader away. Nodes of the same name and id stay, and get the attributes and the text of the new ones.
(function () {
    "use strict";

    function isSame(old, fresh) {
        return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && (old.id || "") === (fresh.id || "");
    }

    function patchAttributes(old, fresh) {
        for (const { name } of Array.from(old.attributes)) {
            if (!fresh.hasAttribute(name)) old.removeAttribute(name);
        }
        for (const { name, value } of Array.from(fresh.attributes)) {
            if (old.getAttribute(name) !== value) old.setAttribute(name, value);
        }
    }

    function isBlank(node) {
        return node.nodeType === Node.TEXT_NODE && !node.nodeValue.trim();
    }

    function patchChildren(old, fresh) {
        let at = old.firstChild;
        for (const wanted of Array.from(fresh.childNodes)) {
            // What was selected out of a page comes without the white space around it, behind which the old node stands.
            while (at && isBlank(at) && !isBlank(wanted)) {
                const next = at.nextSibling;
                at.remove();
                at = next;
            }
            const kept = wanted.id ? Array.from(old.childNodes).find((node) => isSame(node, wanted)) : at;
            if (kept && isSame(kept, wanted)) {
                if (kept !== at) old.insertBefore(kept, at);
                if (kept.nodeType === Node.ELEMENT_NODE) {
                    patchAttributes(kept, wanted);
                    patchChildren(kept, wanted);
                } else if (kept.nodeValue !== wanted.nodeValue) {
                    kept.nodeValue = wanted.nodeValue;
                }
                at = kept.nextSibling;
            } else {
                old.insertBefore(wanted, at);
            }
        }
        while (at) {
            const next = at.nextSibling;
            at.remove();
            at = next;
        }
    }

    htmx.defineExtension("patch", {
        handleSwap: function (style, target, fragment) {
            if (style !== "patch") return false;
            patchChildren(target, fragment);
            return [target];
        },
    });
})();
