"""A small web application for a shop that versions its machine files.

The shop keeps the programs of its CNC machines (`.mcam`, `.vnc`) in one folder.
This application shows them, serves them, and lets one person at a time check a
file out; every checkout and checkin is kept in an audit trail.

It is an ordinary FastAPI application: nothing in it knows which server runs it,
on which event loop. From the folder above this one:

    REPO_PATH=/path/to/files vivace serve sourcerevision.asgi:app
    REPO_PATH=/path/to/files uvicorn sourcerevision.asgi:app

Reading order: `asgi` (what a server imports), `app` (what it is made of), the
routes (`pages`, `files`, `checkouts`, `sleeping`), and below them `repository`
(the folder) and `ledger` (the database), which know nothing of HTTP.
"""
