"""Sends of every kind, each with a key and a reference of its own, and what became of asking for them."""

import concurrent.futures
import contextlib
import http.client
import urllib.parse

import bluetick

SHOP, SERVICE = "whatsapp:+15550001111", "MG00000000000000000000000000000001"
TEMPLATE = "HX00000000000000000000000000000001"
CLIENTS = 3
# One wish in so many is made twice, under two keys: the same words to the same person.
TWINS = 20
# The bounds of a polite client that is told to come back later.
TRIES = 200


def template(number):
    return {"content_sid": TEMPLATE, "variables": {"1": "Ada", "2": str(number)}}


def words(number):
    return {"body": f"Your order {number} is on its way ☕"}


# Of a hundred wishes, how many are of which kind.
KINDS = (
    [lambda number: template(number)] * 58
    + [lambda number: template(number) | {"from": SERVICE}] * 10
    + [lambda number: template(number) | {"may_duplicate": True}] * 6
    + [lambda number: template(number) | {"on_unknown": "fail"}] * 3
    + [lambda number: template(number) | {"on_unknown": "hold"}] * 3
    + [lambda number: words(number)] * 8
    + [lambda number: words(number) | {"fallback": template(number)}] * 12
)


class Wish:
    """One message to be sent."""

    def __init__(self, number, key, kind):
        self.to = f"whatsapp:+49152{number:06d}0000"
        self.key = f"wish-{key}"
        self.draft = {"to": self.to, "from": SHOP, "reference": self.key} | kind(number)
        self.id = None

    def needs_window(self):
        return "body" in self.draft

    def is_kept_in(self, message):
        """Whether this is what bluetick keeps of it."""
        return all(message[name] == value for name, value in self.draft.items())

    def send(self, server, connection):
        for _ in range(TRIES):
            status, answer = server.api("POST", "/v1/messages", self.draft, {"Idempotency-Key": self.key}, connection)
            if status == 202:
                self.id = answer["id"]
                return
            assert status == 503, (self.key, status, answer)
        raise AssertionError(f"{self.key} was turned away {TRIES} times")


def make(count, chance):
    """So many wishes, and the twins of some."""
    wishes = []
    for number in range(1, count + 1):
        kind = chance.choice(KINDS)
        wishes.append(Wish(number, number, kind))
        if number % TWINS == 0:
            wishes.append(Wish(number, f"{number}-again", kind))
    chance.shuffle(wishes)
    return wishes


def send_all(server, wishes):
    """Asks for all of them, over a few connections. To be closed by waiting for its result."""
    parts = urllib.parse.urlsplit(server.url)

    def send_some(some):
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=bluetick.PATIENCE)
        with contextlib.closing(connection):
            for wish in some:
                wish.send(server, connection)

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(send_some, [wishes[client::CLIENTS] for client in range(CLIENTS)]))
