"""The books of both sides compared, attempt by attempt: what bluetick says, and what the emulator's ledger knows.

A `wrong` breaks a promise, and no waiting heals it; a `gap` is what bluetick does not know yet.
"""

import base64
import collections
import itertools
import urllib.parse

import bluetick

OPEN = {"pending", "held", "in_flight", "unknown"}
FAILED = {"failed", "undelivered"}
ARRIVED = {"delivered", "read"}
# What the emulator makes of its first template.
TEMPLATE = "Hello {1}, your order {2} is on its way."
# Codes after which a message may go again: at once, or if the send says that a duplicate does no harm.
PASSES, MAY_DUPLICATE, FALLS_BACK = {63018}, {30008}, {63016}


def attempt_of(create):
    """(message id, attempt number), read from where a create wants its callbacks."""
    name = urllib.parse.urlsplit(create["status_callback"]).path.rsplit("/", 1)[-1]
    packed = base64.urlsafe_b64decode(name)
    assert len(packed) == 33, name
    return f"msg_{packed[:16].hex()}", packed[16]


class Audit:
    """Every message of bluetick's own against every create of the ledger."""

    def __init__(self, messages, creates):
        self.messages = {message["id"]: message for message in messages if message["origin"] == "api"}
        self.accepted = sum(create["outcome"] == "accepted" for create in creates)
        self.wrongs, self.gaps = [], []
        self.figures = collections.Counter()
        self.posts = collections.defaultdict(list)
        for create in creates:
            self.posts[attempt_of(create)].append(create)
        for message in self.messages.values():
            self.check(message)
        # An attempt that Twilio provably did not process may be forgotten, one that it accepted never.
        for (name, number), creates in self.posts.items():
            if name not in self.messages or any(create["outcome"] == "accepted" for create in creates):
                self.wrongs.append((name, f"attempt {number} was posted, and nobody knows of it: {creates}"))
        explained = sum(self.figures[kind] for kind in ("firsts", "retries", "fallbacks", "doubles"))
        if explained != self.accepted:
            self.wrongs.append(("all", f"{self.accepted} accepted creates, and {explained} explained ones"))

    @classmethod
    def of(cls, server, emulator):
        """The books of a moment in which nothing went out; None if something did while they were read.

        A failure that is learned of late is retried late, and that attempt would stand in one of the books alone.
        """
        before = emulator.rows("creates")
        messages, after = server.messages(), emulator.rows("creates")
        return cls(messages, before) if len(before) == len(after) else None

    def check(self, message):
        accepted = []
        for attempt in message["attempts"]:
            posts = self.posts.pop((message["id"], attempt["number"]), [])
            if len(posts) > 1:
                self.wrong(message, f"attempt {attempt['number']} was posted {len(posts)} times")
            if posts and posts[-1]["outcome"] == "accepted":
                accepted.append((attempt, posts[-1]))
                self.check_accepted(message, attempt, posts[-1])
            elif attempt["state"] == "sent":
                self.wrong(message, f"attempt {attempt['number']} was never accepted, but is called sent")
        self.check_repetitions(message, accepted)
        self.check_end(message, accepted)

    def check_accepted(self, message, attempt, create):
        """The receipt of one attempt, and what was sent."""
        which = f"attempt {attempt['number']}"
        if attempt["sid"] not in (None, create["sid"]):
            self.wrong(message, f"{which} is bound to {attempt['sid']}, and became {create['sid']}")
        known = (attempt["sid"], attempt["status"], attempt["error_code"])
        truth = (create["sid"], create["status"], create["code"])
        if known != truth:
            self.gap(message, f"{which} is {truth}, known as {known}")
        if create["body"] != text(message, attempt.get("form", "as_asked")):
            self.wrong(message, f"{which} went out as {create['body']!r}")

    def check_repetitions(self, message, accepted):
        """Every accepted create but the first has a reason, or a flag."""
        self.figures["firsts"] += bool(accepted)
        doubles = 0
        for (_, earlier), (attempt, _) in itertools.pairwise(accepted):
            code = earlier["code"]
            is_fallback = attempt.get("form") == "fallback" and code in FALLS_BACK
            is_retry = code in PASSES or (code in MAY_DUPLICATE and message.get("may_duplicate"))
            if earlier["status"] not in FAILED:
                doubles += 1
            elif is_fallback:
                self.figures["fallbacks"] += 1
            elif is_retry:
                self.figures["retries"] += 1
            else:
                self.wrong(message, f"attempt {attempt['number']} follows a failure with code {code}")
        self.figures["doubles"] += doubles
        if bool(doubles) != message["duplicate_detected"]:
            note = self.gap if doubles else self.wrong
            note(message, f"sent {1 + doubles} times, but duplicate_detected is {message['duplicate_detected']}")

    def check_end(self, message, accepted):
        """The message's own status follows from its attempts; one that never went out says why."""
        status, statuses = message["status"], [create["status"] for _, create in accepted]
        self.figures[status] += 1
        if status in OPEN:
            self.gap(message, f"is {status}")
        elif not accepted:
            self.check_unsent(message)
        else:
            arrived = [word for word in statuses if word in ARRIVED]
            expected = max(arrived) if arrived else statuses[-1]
            if status != expected:
                self.gap(message, f"is {expected}, known as {status}")

    def check_unsent(self, message):
        self.figures["unsent"] += 1
        is_given_up = message.get("on_unknown") == "fail" and (message.get("ended") or {}).get("reason") == "given_up"
        if not is_given_up:
            self.wrong(message, f"never went out: {message['status']}, {message.get('ended')}, {message['error']}")

    def wrong(self, message, what):
        self.wrongs.append((message["id"], message["reference"], what))

    def gap(self, message, what):
        self.gaps.append((message["id"], message["reference"], what))

    def equation(self):
        """The one line that everything comes down to."""
        count = self.figures
        return (
            f"{self.accepted} accepted creates = {count['firsts']} messages + {count['retries']} proven failures retried"
            f" + {count['fallbacks']} fallbacks + {count['doubles']} flagged double sends; {count['unsent']} never went out"
        )


def text(message, form):
    """What the recipient should read."""
    template = message["fallback"] if form == "fallback" else message
    if not template["content_sid"]:
        return message["body"]
    filled = TEMPLATE
    for name, value in template["variables"].items():
        filled = filled.replace("{" + name + "}", value)
    return filled


def converge(server, emulator, within):
    """Waits until bluetick knows all that the ledger knows; what is held for a decision is let go, as its operator would.

    Returns the audit, and how many messages were let go.
    """
    released = 0

    def is_quiet():
        nonlocal released
        queue = server.queue()
        for message in server.messages(status="held") if queue["held"] else []:
            status, answer = server.api("POST", f"/v1/messages/{message['id']}/release", {})
            assert status in (200, 409), answer
            released += status == 200
        return not any(queue.values())

    bluetick.wait_until(is_quiet, lambda: f"nothing is open: {server.queue()}", within, glance=0.1)
    emulator.wait_settled()
    last = None

    def is_complete():
        nonlocal last
        last = Audit.of(server, emulator)
        return last is not None and (bool(last.wrongs) or not last.gaps)

    def missing():
        return f"{len(last.gaps)} gaps close: {last.gaps[:5]}" if last else "nothing more goes out"

    bluetick.wait_until(is_complete, missing, within, glance=0.2)
    assert last.wrongs == [], last.wrongs[:5]
    return last, released
