"""The same with Flask-SocketIO, on eventlet."""
import os

import eventlet

eventlet.monkey_patch()  # before anything opens a socket

from flask import Flask  # noqa: E402
from flask_socketio import SocketIO, emit, join_room  # noqa: E402

app = Flask(__name__)
sio = SocketIO(app, async_mode="eventlet", cors_allowed_origins="*", message_queue=os.environ.get("REDIS_URL"))


@sio.on("join")
def join(room):
    join_room(room)
    return os.getpid()


@sio.on("say")
def say(room, text):
    emit("said", text, room=room)


if __name__ == "__main__":
    sio.run(app, host="127.0.0.1", port=int(os.environ["PORT"]))
