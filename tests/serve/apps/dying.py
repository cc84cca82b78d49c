"""An application whose process dies while it starts, without a word to the server."""

import os
import sys


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        print("apps.dying: about to die", file=sys.stderr, flush=True)
        os._exit(1)
