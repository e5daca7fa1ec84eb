"""A python-socketio server under uvicorn. Start it on all cores: sidereal start app.py -i max"""
import os

import socketio
import uvicorn

redis = os.environ.get("REDIS_URL")
sio = socketio.AsyncServer(
    async_mode="asgi",
    cors_allowed_origins="*",
    client_manager=socketio.AsyncRedisManager(redis) if redis else None,  # carries rooms between the processes
)


@sio.event
async def join(sid, room):
    sio.enter_room(sid, room)
    return os.getpid()


@sio.event
async def say(sid, room, text):
    await sio.emit("said", text, room=room)


if __name__ == "__main__":
    uvicorn.run(socketio.ASGIApp(sio), host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
