//! Every key in words: what it is for, its unit, its bounds. A test holds this table against the rooms' `Options`.

use toml::Value;

/// One key.
pub(super) struct Key {
    /// From the top, with dots.
    pub(super) path: &'static str,
    /// What it is for, with its unit.
    pub(super) words: &'static str,
    /// The least and the most it may be.
    pub(super) range: Option<(f64, f64)>,
    /// Whether its value must stay unseen; then it may also stand in a file of its own.
    pub(super) is_secret: bool,
    /// What one might write, as TOML, where there is no default to show.
    pub(super) example: Option<&'static str>,
}

impl Key {
    const fn between(mut self, least: f64, most: f64) -> Self {
        self.range = Some((least, most));
        self
    }

    const fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }

    const fn example(mut self, toml: &'static str) -> Self {
        self.example = Some(toml);
        self
    }

    /// What to say if this value is outside the bounds.
    pub(super) fn out_of_range(&self, value: &Value) -> Option<String> {
        let (least, most) = self.range?;
        let number = match value {
            Value::Integer(whole) => *whole as f64,
            Value::Float(number) => *number,
            _ => return None,
        };
        // Written so that NaN is outside.
        let is_inside = least <= number && number <= most;
        (!is_inside).then(|| format!("{} must be from {least} to {most}, not {value}", self.path))
    }
}

const fn key(path: &'static str, words: &'static str) -> Key {
    Key { path, words, range: None, is_secret: false, example: None }
}

/// The key at this path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Milliseconds of a day: a wait that is longer is a slip of a finger.
const DAY_MS: f64 = 86_400_000.0;

/// All of them, in the order in which they are shown.
pub(super) static KEYS: &[Key] = &[
    key(
        "public_url",
        "Where Twilio reaches this bluetick: scheme and host, and a path if a proxy adds one. Without it Twilio sends no\n\
         callbacks, and bluetick asks about every message instead.",
    )
    .example("\"https://bluetick.example.com\""),
    key(
        "mode",
        "\"sandbox\" to try things out, with Twilio's sandbox or the emulator; \"live\" for customers: then everything that\n\
         could lose messages or trust is refused at start.",
    ),
    key(
        "http.listen",
        "Address and port of the API, the pages and the webhooks. Either a proxy in front of it ends TLS, or bluetick does,\n\
         with http.tls_cert_file and http.tls_key_file.",
    ),
    key(
        "http.tls_cert_file",
        "The certificate for HTTPS, as PEM: the server's own first, then those between it and its root. Looked at again every\n\
         minute and at SIGHUP, so that a renewed one is used without a restart.",
    )
    .example("\"/etc/bluetick/tls/fullchain.pem\""),
    key("http.tls_key_file", "The certificate's key, as PEM without a passphrase.")
        .example("\"/etc/bluetick/tls/privkey.pem\""),
    key(
        "http.trusted_proxies",
        "Addresses and networks of the proxies in front: what they say in X-Forwarded-For and X-Forwarded-Proto is believed.\n\
         Where http.listen is on loopback, this machine is trusted without being named.",
    )
    .example("[\"10.0.0.0/8\", \"192.0.2.7\"]"),
    key(
        "http.api_key",
        "What the team's app sends as \"Authorization: Bearer …\". Without it /v1 is closed to the network. In live mode \
         at least 20 characters.",
    )
    .secret()
    .example("\"a-long-random-text\""),
    key(
        "http.admin_user",
        "The name of somebody who may do everything on the pages without having been entered as a user: for demos, and for whoever\n\
         declares all there is. Users are better: `bluetick admin add`, with a role and a second proof each.",
    ),
    key("http.admin_password", "Their password; it is not kept anywhere else. Without it only users log in. In live mode as strong as a user's.")
        .secret()
        .example("\"another-long-random-text\""),
    key(
        "http.rate_per_s",
        "Requests a second that each API key, and each person, may make over the network, and twice as many at once (0 to\n\
         100000; 0 for any number). Beyond that they are answered 429. The local socket is never limited.",
    )
    .between(0.0, 100_000.0),
    key("http.workers", "Threads that answer requests (1 to 64).").between(1.0, 64.0),
    key("http.shutdown_timeout_s", "Seconds that requests under way may still take when bluetick stops (0 to 300).")
        .between(0.0, 300.0),
    key("store.dir", "The folder of the data file and of the local socket; made if it is not there."),
    key("store.cache_mb", "Megabytes of memory for pages of the data file (16 to 65536). More than 256 buys little.")
        .between(16.0, 65_536.0),
    key("store.queue", "Writes that may wait for the next commit (64 to 65536); callers beyond that get 503.")
        .between(64.0, 65_536.0),
    key(
        "store.reserve_mb",
        "Megabytes of the disk set aside for receipts when it is full (0 to 4096; 0 sets none aside). With less room than \
         this left, new sends are refused (507) while receipts still come home.",
    )
    .between(0.0, 4_096.0),
    key(
        "archive.after_days",
        "Days after its last change until a message at its end moves to the archive (1 to 3650). It is found there as before.",
    )
    .between(1.0, 3_650.0),
    key(
        "archive.schedule",
        "When they move, as a cron line in UTC: second minute hour day month weekday; empty for never.",
    ),
    key("archive.dir", "The folder of the archive's segments; else archive in the data folder.")
        .example("\"/var/lib/bluetick/archive\""),
    key(
        "retention.schedule",
        "When what is too old is forgotten, as a cron line in UTC: second minute hour day month weekday; empty for never.",
    ),
    key(
        "retention.bodies_days",
        "Days after its last change until what a message at its end said is forgotten, and after it came until what a person\n\
         wrote is (0 to 36500). Such a message cannot be sent again.",
    )
    .between(0.0, 36_500.0),
    key(
        "retention.messages_days",
        "The same for the messages themselves, also in the archive (1 to 36500). The numbers of senders keep them; those of\n\
         people do not.",
    )
    .between(1.0, 36_500.0),
    key("retention.events_days", "Days that events can be read again (1 to 36500).").between(1.0, 36_500.0),
    key("retention.audit_days", "Days that the audit log is kept (1 to 36500).").between(1.0, 36_500.0),
    key(
        "retention.rewrite_schedule",
        "When the data file is written anew, if anything was forgotten since, so that no old byte stays in it; empty for never.\n\
         It takes as much room again for a while, and writes wait until it is done.",
    ),
    key(
        "backup.schedule",
        "When a backup is made by itself, as a cron line in UTC: second minute hour day month weekday; empty for never.",
    ),
    key("backup.keep", "How many backups are kept: the oldest go when a new one is whole (1 to 1000).").between(1.0, 1_000.0),
    key(
        "backup.dir",
        "The folder of the backups; else backups in the data folder. A copy on another machine is what survives a fire.",
    )
    .example("\"/var/backups/bluetick\""),
    key("secrets.rotate_after_days", "Days after which a secret is due to be rotated (1 to 3650).").between(1.0, 3_650.0),
    key("secrets.warn_days", "Days before that in which the pages, the log and the metrics say so (0 to 365).")
        .between(0.0, 365.0),
    key(
        "secrets.overlap_s",
        "Seconds that a rotated secret of bluetick's own is still good for (3600 to 2592000); access tokens live an hour.",
    )
    .between(3_600.0, 2_592_000.0),
    key(
        "secrets.twilio_grace_s",
        "Seconds that callbacks signed with a rotated auth token of Twilio's are still let in (60 to 604800).",
    )
    .between(60.0, 604_800.0),
    key(
        "secrets.schedule",
        "When it is looked whether a secret is due, as a cron line in UTC: second minute hour day month weekday; empty for\n\
         never. bluetick's own are rotated then; for Twilio's it is only said.",
    ),
    key(
        "secrets.master_key",
        "What opens the vault in which rotated secrets are kept: 64 hex digits. Without it there is a file of it.",
    )
    .secret()
    .example("\"00000000000000000000000000000000000000000000000000000000000000aa\""),
    key("secrets.master_key_path", "That file, made when it is first needed; else master.key in the data folder.")
        .example("\"/etc/bluetick/secrets/master.key\""),
    key(
        "twilio.api_url",
        "Where Twilio's API is: scheme and host, no path. Another one is for regions and for the emulator.",
    ),
    key("twilio.account_sid", "The account: AC and 32 hex digits, from the first page of Twilio's console.")
        .example("\"AC00000000000000000000000000000001\""),
    key(
        "twilio.auth_token",
        "The account's auth token. Needed even beside an API key, because only it signs callbacks.",
    )
    .secret()
    .example("\"00000000000000000000000000000001\""),
    key("twilio.auth_token_next", "The second token while the two change places: its callbacks are let in too.")
        .secret()
        .example("\"00000000000000000000000000000002\""),
    key("twilio.api_key_sid", "An API key, SK and 32 hex digits, used to send instead of the auth token.")
        .example("\"SK00000000000000000000000000000001\""),
    key("twilio.api_key_secret", "The API key's secret.").secret().example("\"00000000000000000000000000000003\""),
    key(
        "twilio.from",
        "Who sends when a message does not say: a WhatsApp number, or a Messaging Service (MG and 32 hex digits).",
    )
    .example("\"whatsapp:+15550001111\""),
    key("twilio.connect_timeout_ms", "Milliseconds to connect, TLS included; less than timeout_ms.")
        .between(1.0, 119_999.0),
    key(
        "twilio.timeout_ms",
        "Milliseconds for one request, from its first step to the last byte of the answer (up to 120000). Twilio gives up\n\
         at about 26000; less than that makes unknown sends out of slow ones.",
    )
    .between(2.0, 120_000.0),
    key(
        "policy.reconcile_after_ms",
        "Milliseconds until Twilio is asked about a message whose callbacks have not told its end, and between two such\n\
         questions in its first day. As often, Twilio is asked what people wrote.",
    )
    .between(1.0, DAY_MS),
    key(
        "policy.poll_after_ms",
        "The same when there is no public_url, and so no callback; the pauses grow with the message's age, up to\n\
         reconcile_after_ms.",
    )
    .between(1.0, DAY_MS),
    key("policy.reconcile_later_ms", "Milliseconds between two such questions after the first day.").between(1.0, DAY_MS),
    key("policy.patience_ms", "Milliseconds after an attempt until Twilio is asked no more (up to 30 days).")
        .between(1.0, 30.0 * DAY_MS),
    key(
        "policy.settle_ms",
        "Milliseconds after which an attempt whose answer was lost, and that Twilio does not list, counts as absent. It is\n\
         looked for after 1/36, 1/12, 1/3 and all of this. Twilio's lists may lag: less than 60000 risks double sends.",
    )
    .between(1.0, DAY_MS),
    key(
        "policy.on_unknown",
        "What becomes of a message whose attempt is absent at Twilio: \"resend_if_absent\" (once), \"hold\" (a person decides)\n\
         or \"fail\". A send may say otherwise.",
    ),
    key(
        "policy.backoff_first_ms",
        "Milliseconds of the first wait after Twilio did not take a message; doubled each time, with full jitter.",
    )
    .between(1.0, DAY_MS),
    key("policy.backoff_longest_ms", "Milliseconds of the longest such wait.").between(1.0, DAY_MS),
    key("policy.max_attempts", "Attempts before a message that Twilio never takes is given up (1 to 200).")
        .between(1.0, 200.0),
    key("policy.retry_attempts", "Attempts that may fail before a failure that passes by itself is final (1 to 20).")
        .between(1.0, 20.0),
    key("policy.retry_for_ms", "Milliseconds after its acceptance in which a message is sent again after such a failure.")
        .between(1.0, 30.0 * DAY_MS),
    key(
        "policy.retry_transient_ms",
        "Milliseconds of the first wait after a failure that is transient or came of haste; doubled each time, full jitter.",
    )
    .between(1.0, DAY_MS),
    key(
        "policy.retry_wait_ms",
        "Milliseconds of the least wait after a failure that takes hours to pass; full jitter on top, doubled each time.",
    )
    .between(1.0, DAY_MS),
    key("policy.retry_longest_ms", "Milliseconds of the longest wait after any failure.").between(1.0, 7.0 * DAY_MS),
    key(
        "policy.outside_window",
        "What becomes of free text without a fallback when the person has not written for 24 hours: \"refuse\", \"hold\" (until\n\
         they write) or \"try\" (Twilio will fail it with 63016).",
    ),
    key("policy.pair_every_ms", "Milliseconds in which one sender may write once to one person, on average.")
        .between(1.0, DAY_MS),
    key("policy.pair_burst", "Messages that one sender may write to one person at once (1 to 100).").between(1.0, 100.0),
    key(
        "policy.probe_after_ms",
        "Milliseconds until a pause lets one message through to see whether it is over, and until Twilio is tried again\n\
         after it refused our credentials; doubled each time.",
    )
    .between(1.0, DAY_MS),
    key("policy.probe_longest_ms", "Milliseconds of the longest wait between two probes.").between(1.0, DAY_MS),
    key(
        "policy.stop_words",
        "What a person writes, alone in a message, to get no more messages; lower case, any case matches.",
    ),
    key("policy.start_words", "What a person writes, alone in a message, to get messages again."),
    key("sending.rate_per_s", "Messages a second for each sender without a rate of its own (0.01 to 2000).")
        .between(0.01, 2_000.0),
    key("sending.concurrency", "Requests to Twilio that may be under way at once (1 to 1000).").between(1.0, 1_000.0),
    key("sending.drain_s", "Seconds that requests to Twilio may still take when bluetick stops (1 to 60).")
        .between(1.0, 60.0),
    key("reconcile.rate_per_s", "Questions a second that Twilio is asked at most (0.1 to 100).").between(0.1, 100.0),
    key(
        "senders",
        "Senders with a rate of their own, one block each: address is a WhatsApp number or a Messaging Service,\n\
         rate_per_s its messages a second (0.01 to 2000).",
    )
    .example("[{ address = \"whatsapp:+15550002222\", rate_per_s = 20.0 }]"),
    key("emulator.listen", "Address and port of the built-in Twilio of `demo` and `emulate`; port 0 takes a free one."),
    key("emulator.account_sid", "The account it plays."),
    key("emulator.auth_token", "That account's token: opens the emulator's API and signs what it posts."),
    key("emulator.api_keys", "API keys that open its API too: sid (SK and 32 hex digits) and secret."),
    key("emulator.balance", "The account's balance, as Twilio writes it."),
    key("emulator.account_type", "\"Full\" or \"Trial\"."),
    key(
        "emulator.senders",
        "Its WhatsApp senders: address and name; inbound_url, fallback_url and status_callback_url if they differ.",
    ),
    key(
        "emulator.messaging_services",
        "Its Messaging Services: sid (MG and 32 hex digits) and senders; status_callback_url and inbound_url if they differ.",
    ),
    key(
        "emulator.templates",
        "Its templates: sid (HX and 32 hex digits), name, body, approval (\"approved\", \"pending\", \"rejected\", \"paused\",\n\
         \"disabled\" or \"unsubmitted\"), category, rejection_reason, and defaults for variables that are left out.",
    ),
    key("emulator.inbound_url", "Where messages from people are posted.")
        .example("\"http://127.0.0.1:8080/webhooks/twilio/inbound\""),
    key("emulator.status_callback_url", "Where statuses go that no message, service or sender has a place for.")
        .example("\"http://127.0.0.1:8080/webhooks/twilio/status\""),
    key("emulator.pace", "How fast people are: \"instant\" for tests, \"lifelike\" to watch."),
    key("emulator.chatter", "Whether people who read a message sometimes write back."),
    key(
        "emulator.strict_window",
        "Whether free text needs a message from the person within the last 24 hours, as WhatsApp demands (else 63016).",
    ),
    key("emulator.seed", "What all chance in it comes from: one seed, one behaviour."),
    key("emulator.max_messages", "Messages it keeps; past that the oldest finished ones are forgotten (1 to 10000000).")
        .between(1.0, 10_000_000.0),
    key(
        "emulator.max_callbacks_waiting",
        "Callbacks that may be under way or waiting (1 to 10000000); past that a create is answered 429.",
    )
    .between(1.0, 10_000_000.0),
    key("emulator.concurrency", "Requests to the app that run at once (1 to 4096).").between(1.0, 4_096.0),
    key("emulator.workers", "Threads that answer its requests (1 to 64).").between(1.0, 64.0),
    key(
        "log.level",
        "The least important lines that are written: \"error\", \"warn\", \"info\", \"debug\", \"trace\"; by room too, as in\n\
         \"info,bluetick::store=debug\".",
    ),
    key("log.format", "\"text\" for people, \"json\" for programs, \"auto\" for text on a terminal and JSON elsewhere."),
];
