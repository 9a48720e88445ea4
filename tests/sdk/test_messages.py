"""The official Python SDK, unchanged but for the host, takes the emulator for Twilio."""

from datetime import datetime, timedelta, timezone

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from conftest import Redirected

PERSON, OTHER = "whatsapp:+4915100000001", "whatsapp:+4915100000002"
SHOP, SUPPORT = "whatsapp:+15550001111", "whatsapp:+15550002222"
SERVICE = "MG00000000000000000000000000000001"
TEMPLATE = "HX00000000000000000000000000000001"
VARIABLES = '{"1":"Ada","2":"17"}'


def settled(emulator):
    assert emulator.ledger(settled="true", wait="20s")["reached"]


def test_a_message_is_created_and_fetched_until_it_is_read(client, emulator):
    created = client.messages.create(to=PERSON, from_=SHOP, body="Grüße 👋")
    assert created.sid.startswith("SM") and created.status == "queued"
    assert created.direction == "outbound-api" and created.num_media == "0"
    assert created.account_sid == emulator.account_sid
    assert created.date_created <= datetime.now(timezone.utc) + timedelta(seconds=1)

    settled(emulator)
    fetched = client.messages(created.sid).fetch()
    assert (fetched.status, fetched.body, fetched.to, fetched.from_) == ("read", "Grüße 👋", PERSON, SHOP)
    assert fetched.date_sent >= created.date_created and fetched.error_code is None


def test_a_template_and_media_are_created(client):
    template = client.messages.create(to=OTHER, from_=SHOP, content_sid=TEMPLATE, content_variables=VARIABLES)
    assert "Ada" in template.body and "17" in template.body
    media = client.messages.create(to=PERSON, from_=SHOP, media_url=["https://media.example/a.jpg"])
    assert media.sid.startswith("MM") and media.num_media == "1"
    assert [item.parent_sid for item in client.messages(media.sid).media.list()] == [media.sid]


def test_lists_are_filtered_and_paged(client, emulator):
    ours = [client.messages.create(to=PERSON, from_=SHOP, body=f"number {number}").sid for number in range(7)]
    other = client.messages.create(to=OTHER, from_=SUPPORT, content_sid=TEMPLATE, content_variables=VARIABLES)
    settled(emulator)

    assert [message.sid for message in client.messages.list(to=OTHER)] == [other.sid]
    assert {message.sid for message in client.messages.list(to=PERSON, from_=SHOP)} == set(ours)
    assert len(client.messages.list(to=PERSON, limit=3)) == 3

    # Seven messages, three to a page: the SDK follows next_page_uri by itself.
    paged = [message.sid for message in client.messages.stream(to=PERSON, page_size=3)]
    assert sorted(paged) == sorted(ours) and len(set(paged)) == 7
    first = client.messages.page(to=PERSON, page_size=3)
    assert len(list(first)) == 3
    second = first.next_page()
    assert len(list(second)) == 3 and second.previous_page_url

    today = datetime.now(timezone.utc).date()
    assert len(client.messages.list(to=PERSON, date_sent_after=today - timedelta(days=1))) == 7
    assert client.messages.list(to=PERSON, date_sent_before=today - timedelta(days=2)) == []


def test_a_scheduled_message_is_canceled_once(client, emulator):
    soon = datetime.now(timezone.utc) + timedelta(hours=1)
    plan = {"content_sid": TEMPLATE, "content_variables": VARIABLES, "schedule_type": "fixed", "send_at": soon}
    scheduled = client.messages.create(to=OTHER, messaging_service_sid=SERVICE, **plan)
    assert scheduled.status == "scheduled" and scheduled.messaging_service_sid == SERVICE

    assert client.messages(scheduled.sid).update(status="canceled").status == "canceled"
    with pytest.raises(TwilioRestException) as refused:
        client.messages(scheduled.sid).update(status="canceled")
    assert refused.value.status in (400, 409)

    emulator.control("clock", advance_ms=2 * 3_600_000)
    settled(emulator)
    assert client.messages(scheduled.sid).fetch().status == "canceled"


def test_a_finished_message_is_redacted_and_deleted(client, emulator):
    created = client.messages.create(to=PERSON, from_=SHOP, body="secret")
    settled(emulator)
    assert client.messages(created.sid).update(body="").body == ""
    assert client.messages(created.sid).delete()
    with pytest.raises(TwilioRestException) as gone:
        client.messages(created.sid).fetch()
    assert (gone.value.status, gone.value.code) == (404, 20404)


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ({"to": "whatsapp:12", "from_": SHOP, "body": "x"}, 400, 21211),
        ({"to": PERSON, "body": "x"}, 400, 21603),
        ({"to": PERSON, "from_": SHOP}, 400, 21619),
        ({"to": PERSON, "from_": SHOP, "body": "x" * 1601}, 400, 21617),
        ({"to": PERSON, "from_": "whatsapp:+15559990000", "body": "x"}, 400, 63007),
        ({"to": PERSON, "from_": SHOP, "body": "x", "status_callback": "ftp://app.example"}, 400, 21609),
        ({"to": PERSON, "from_": SHOP, "content_sid": "HX" + "f" * 32}, 400, 21655),
        ({"to": PERSON.removeprefix("whatsapp:"), "from_": SHOP, "body": "x"}, 400, 21910),
        ({"to": "whatsapp:+4915100001610", "from_": SHOP, "body": "x"}, 400, 21610),
        ({"to": "whatsapp:+4915100009011", "from_": SHOP, "body": "x"}, 429, 20429),
    ],
)
def test_a_bad_wish_is_refused_with_the_code_of_twilio(client, wish, status, code):
    with pytest.raises(TwilioRestException) as refused:
        client.messages.create(**wish)
    assert (refused.value.status, refused.value.code) == (status, code)
    assert refused.value.msg


def test_a_wrong_token_opens_nothing(emulator):
    stranger = Client(emulator.account_sid, "0" * 32, http_client=Redirected(emulator.url))
    with pytest.raises(TwilioRestException) as refused:
        stranger.messages("SM" + "0" * 32).fetch()
    assert (refused.value.status, refused.value.code) == (401, 20003)
