"""python3 emit.py ROOM TEXT: everyone in a room gets the event "news". API_URL and API_KEY say where the API is."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid


def emit(room, event, *args):
    """Emits an event to a room. It repeats the request while Redis is away; the key keeps it from being carried out twice."""
    request = urllib.request.Request(
        os.environ["API_URL"] + "/v1/emit",
        data=json.dumps({"event": event, "args": args, "rooms": [room]}).encode(),
        headers={
            "Authorization": "Bearer " + os.environ["API_KEY"],
            "Content-Type": "application/json",
            "Idempotency-Key": str(uuid.uuid4()),
        },
    )
    for attempt in range(5):
        try:
            with urllib.request.urlopen(request, timeout=10):
                return
        except urllib.error.HTTPError as e:
            problem = f"the API answers {e.code}: {e.read().decode()}"
            if e.code not in (409, 503, 504):
                break
        except OSError as e:
            problem = str(e)
        time.sleep(1)
    sys.exit(problem)


emit(sys.argv[1], "news", sys.argv[2])
print("sent")
