"""A burst of everything the outside does to bluetick, and a note of each 2xx: what must not be lost.

Each kind of traffic has threads and connections of its own, and goes on until bluetick is gone. What people write to the
emulator counts from the moment they wrote it: bluetick must find it, whatever became of the callback.
"""

import http.client
import threading
import urllib.parse

import bluetick
from twilio.request_validator import RequestValidator

SHOP = "whatsapp:+15550001111"
TEMPLATE = {"content_sid": "HX00000000000000000000000000000001", "variables": {"1": "Ada", "2": "17"}}
SENDERS, REPORTERS, WRITERS, PEOPLE = 3, 3, 1, 1
# The emulator answers creates to these numbers late, and calls back before: so some are always under way.
EARLY = "9006"
STORY = ("sent", "delivered", "read")
GONE = (OSError, http.client.HTTPException)


class Send:
    """One wish to send, under its own key, to a recipient of its own."""

    def __init__(self, number):
        self.to = f"whatsapp:+49151{number:06d}" + (EARLY if number % 4 == 0 else "0000")
        self.key = f"key-{number}"
        self.draft = {"to": self.to, "from": SHOP, "reference": f"order-{number}", **TEMPLATE}

    def post(self, server, connection=None):
        """(status, message)."""
        return server.api("POST", "/v1/messages", self.draft, {"Idempotency-Key": self.key}, connection)


class Traffic:
    """A burst against one server; `numbers` makes everything in it unlike everything before."""

    def __init__(self, server, emulator, chance, numbers):
        self.server = server
        self.emulator = emulator
        self.validator = RequestValidator(server.auth_token)
        self.chance = chance
        self.numbers = numbers
        self.stopped = threading.Event()
        # What was asked, and what of it was acknowledged.
        self.sends = []
        self.accepted = {}  # key -> message id
        self.reported = {}  # SID -> statuses
        self.written = set()  # SIDs
        self.posted = set()  # SIDs that the emulator made
        self.surprises = []
        work = [self.send] * SENDERS + [self.report] * REPORTERS + [self.write] * WRITERS + [self.tell] * PEOPLE
        self.threads = [threading.Thread(target=self.go_on, args=(one,), daemon=True) for one in work]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join(bluetick.PATIENCE)

    def acknowledged(self):
        """How many 2xx there were so far."""
        return len(self.accepted) + sum(map(len, list(self.reported.values()))) + len(self.written)

    def go_on(self, one):
        parts = urllib.parse.urlsplit(self.server.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=bluetick.PATIENCE)
        try:
            while not self.stopped.is_set():
                one(connection)
        except GONE:
            pass  # It was killed: what had no answer was promised to nobody.
        finally:
            connection.close()

    def send(self, connection):
        send = Send(next(self.numbers))
        self.sends.append(send)
        status, message = send.post(self.server, connection)
        if status == 202:
            self.accepted[send.key] = message["id"]
        elif status != 503:
            self.surprises.append((send.key, status, message))

    def report(self, connection):
        """What Twilio tells of a message sent elsewhere, in any order."""
        number = next(self.numbers)
        sid = f"SM{number:032x}"
        for status in self.chance.sample(STORY, len(STORY)):
            form = {"MessageSid": sid, "MessageStatus": status, "To": f"whatsapp:+44770{number:07d}", "From": SHOP}
            if self.callback("/webhooks/twilio/status", form, connection):
                self.reported.setdefault(sid, set()).add(status)

    def write(self, connection):
        """What a person writes."""
        number = next(self.numbers)
        form = {"MessageSid": f"SM{number:032x}", "From": f"whatsapp:+44770{number:07d}", "To": SHOP, "Body": "hi", "NumMedia": "0"}
        if self.callback("/webhooks/twilio/inbound", form, connection):
            self.written.add(form["MessageSid"])

    def tell(self, _):
        """What a person writes to the emulator, which is never killed."""
        person = f"whatsapp:+44771{next(self.numbers):07d}"
        self.posted.add(self.emulator.control("inbound", **{"from": person, "body": "hi"})["sid"])

    def callback(self, path, form, connection):
        """A signed callback; whether it was acknowledged."""
        form |= {"AccountSid": self.server.account_sid, "ApiVersion": "2010-04-01"}
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": self.validator.compute_signature(self.server.public_url + path, form),
        }
        body = urllib.parse.urlencode(form)
        status, _, answer = bluetick.request("POST", self.server.url + path, body, headers, connection)
        if status not in (200, 204, 503):
            self.surprises.append((path, status, answer))
        return 200 <= status < 300
