"""Keys that are generated once and kept under VAR_DIR, so that sessions and services survive a restart."""

import json
import secrets
from pathlib import Path

from tools.embedded.places import write_private

# What other processes may ask for by name; the passwords of broker and Flower travel inside their settings only.
PUBLISHED = ("SECRET_KEY", "SERVICE_KEY", "WALLET_KEY", "API_KEYS_SECRET", "PUBLIC_IDS_KEY")
KEPT = ("BROKER_PASSWORD", "FLOWER_PASSWORD")
KEY_BYTES = 48


def file(var_dir: Path) -> Path:
    """Where they are kept, readable by the owner only."""
    return var_dir / "keys.json"


def stored(var_dir: Path) -> dict[str, str]:
    """The keys made earlier; empty before the first start."""
    try:
        return json.loads(file(var_dir).read_text())
    except FileNotFoundError:
        return {}


def published(var_dir: Path) -> dict[str, str]:
    return {name: value for name, value in stored(var_dir).items() if name in PUBLISHED}


def ensure(var_dir: Path) -> dict[str, str]:
    """All keys by name, made and stored (mode 600) where missing."""
    known = stored(var_dir)
    missing = [name for name in (*PUBLISHED, *KEPT) if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(KEY_BYTES) for name in missing}
        write_private(file(var_dir), text(known))
    return known


def text(known: dict[str, str]) -> str:
    """The file of these keys."""
    return json.dumps(known, indent=1)
