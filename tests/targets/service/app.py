# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small backend with three leaks and three look-alikes, written as such services are written.

What a tracer must say of it, function by function:

    validate_jwt         leaks one database connection a call
    revoke_session       leaks one on the path where the session does not exist
    health               leaks one Redis connection a call
    get_research_status  closes on every path, by four different ways out: nothing
    pooled               borrows from a pool of five and gives back: nothing
    remember_visit       uses the one Redis client there is: nothing

It reads DATABASE_URL and REDIS_URL. `drive.py` sends it requests and knows the exact numbers.
"""
from fastapi import Depends, FastAPI, Header, HTTPException

from service import accounts, auth, cache, database, health, research

app = FastAPI(title="research backend")


@app.on_event("startup")
def start() -> None:
    database.start()
    cache.start()


@app.on_event("shutdown")
def stop() -> None:
    cache.stop()
    database.stop()


def authenticated(authorization: str = Header()) -> auth.User:
    try:
        return auth.validate_jwt(authorization.removeprefix("Bearer "))
    except auth.InvalidToken as error:
        raise HTTPException(status_code=401, detail=str(error))


@app.get("/health")
def get_health():
    return health.health()


@app.get("/visits")
def get_visits():
    return {"visits": cache.remember_visit("front"), "accounts": accounts.count_accounts()}


@app.get("/me")
def get_me(user: auth.User = Depends(authenticated)):
    return {"name": user.name, "sessions": accounts.count_sessions(user.name)}


@app.delete("/sessions/{session}")
def delete_session(session: str, user: auth.User = Depends(authenticated)):
    try:
        auth.revoke_session(session)
    except auth.NoSuchSession:
        raise HTTPException(status_code=404, detail="no such session")
    return {"revoked": session}


@app.get("/research/{identifier}")
def get_research(identifier: str, user: auth.User = Depends(authenticated)):
    try:
        return {"status": research.get_research_status(identifier)}
    except research.Unknown:
        raise HTTPException(status_code=404, detail="no such research")
    except research.Malformed:
        raise HTTPException(status_code=422, detail="not a number")
