"""asyncio with a Rust engine."""
from . import _native as _native
