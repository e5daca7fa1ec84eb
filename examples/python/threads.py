"""The same with threads: a WSGI app under Werkzeug's server, whose clients poll."""
import os

import socketio
from werkzeug.serving import run_simple

redis = os.environ.get("REDIS_URL")
sio = socketio.Server(
    async_mode="threading",
    cors_allowed_origins="*",
    client_manager=socketio.RedisManager(redis) if redis else None,
)


@sio.event
def join(sid, room):
    sio.enter_room(sid, room)
    return os.getpid()


@sio.event
def say(sid, room, text):
    sio.emit("said", text, room=room)


if __name__ == "__main__":
    run_simple("127.0.0.1", int(os.environ["PORT"]), socketio.WSGIApp(sio), threaded=True)
