//! The single things that can be wrong with a signed request: a word for programs and words for people.

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    // The URL: what stands in front of the path, which public_url says.
    Scheme,
    Host,
    Www,
    HostCase,
    Port,
    Prefix,
    PublicUrl,
    // The URL: what arrives on the request line.
    TrailingSlash,
    DoubleSlash,
    PathEscaping,
    OtherPath,
    QueryDropped,
    QueryAdded,
    QueryOrder,
    QueryEscaping,
    // The URL: what no URL of Twilio's has.
    Fragment,
    UserInfo,
    RequestLine,
    // The body.
    Plus,
    HalfDecoded,
    DoubleEncoded,
    Charset,
    Html,
    LineEnds,
    EmptyDropped(String),
    Trimmed(String),
    Added(String),
    Json,
    ContentType,
    PostBecameGet,
    GetBecamePost,
    OnlyUrl,
    BodyChanged,
    BodyNotHashed,
    OtherSigner,
    // The token, by its name.
    TokenStaged(String),
    TokenRetired(String),
    TokenOfOther(String),
    TokenOfApiKey(String),
    TokenSpaces(String),
    TokenQuotes(String),
    TokenCase(String),
    TokenWithin(String),
    SignerLineEnd(String),
    SignedWithSid,
    SignedWithNothing,
    OtherAccount(String),
    // The header.
    SignatureSpaces,
    SignatureQuotes,
    SignatureRepeated,
    SignatureEscaped,
    SignatureHex,
    SignaturePadding,
    SignatureUrlSafe,
    SignatureCut,
    SignatureCase,
    Sha256,
}

impl Flaw {
    /// The stable word for programs.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Scheme => "scheme",
            Self::Host => "host",
            Self::Www => "host_www",
            Self::HostCase => "host_case",
            Self::Port => "port",
            Self::Prefix => "path_prefix",
            Self::PublicUrl => "public_url_form",
            Self::TrailingSlash => "trailing_slash",
            Self::DoubleSlash => "double_slash",
            Self::PathEscaping => "path_escaping",
            Self::OtherPath => "other_path",
            Self::QueryDropped => "query_dropped",
            Self::QueryAdded => "query_added",
            Self::QueryOrder => "query_order",
            Self::QueryEscaping => "query_escaping",
            Self::Fragment => "fragment_signed",
            Self::UserInfo => "password_signed",
            Self::RequestLine => "request_line",
            Self::Plus => "body_plus",
            Self::HalfDecoded => "body_decoded",
            Self::DoubleEncoded => "body_encoded_twice",
            Self::Charset => "body_charset",
            Self::Html => "body_html",
            Self::LineEnds => "body_line_ends",
            Self::EmptyDropped(_) => "empty_parameter_dropped",
            Self::Trimmed(_) => "parameter_trimmed",
            Self::Added(_) => "parameter_added",
            Self::Json => "body_json",
            Self::ContentType => "content_type",
            Self::PostBecameGet => "post_became_get",
            Self::GetBecamePost => "get_became_post",
            Self::OnlyUrl => "body_not_signed",
            Self::BodyChanged => "body_changed",
            Self::BodyNotHashed => "body_not_hashed",
            Self::OtherSigner => "other_signer",
            Self::TokenStaged(_) => "token_staged",
            Self::TokenRetired(_) => "token_retired",
            Self::TokenOfOther(_) => "token_of_another_account",
            Self::TokenOfApiKey(_) => "signed_with_api_key",
            Self::TokenSpaces(_) => "token_spaces",
            Self::TokenQuotes(_) => "token_quotes",
            Self::TokenCase(_) => "token_case",
            Self::TokenWithin(_) => "token_with_more",
            Self::SignerLineEnd(_) => "signed_with_line_end",
            Self::SignedWithSid => "signed_with_account_sid",
            Self::SignedWithNothing => "signed_without_token",
            Self::OtherAccount(_) => "other_account",
            Self::SignatureSpaces => "signature_spaces",
            Self::SignatureQuotes => "signature_quotes",
            Self::SignatureRepeated => "signature_repeated",
            Self::SignatureEscaped => "signature_escaped",
            Self::SignatureHex => "signature_hex",
            Self::SignaturePadding => "signature_padding",
            Self::SignatureUrlSafe => "signature_url_safe",
            Self::SignatureCut => "signature_cut",
            Self::SignatureCase => "signature_case",
            Self::Sha256 => "signature_sha256",
        }
    }

    /// What differs between the URL that was called and the one that was expected; `None` if it is not about that.
    pub(super) fn differs(&self) -> Option<&'static str> {
        Some(match self {
            Self::Scheme => "the scheme",
            Self::Host => "the host",
            Self::Www => "www. in front of the host",
            Self::HostCase => "the letters of the host (upper or lower case)",
            Self::Port => "the port",
            Self::Prefix => "the path in front",
            Self::PublicUrl => "the ? or # in public_url, which swallows the path",
            Self::TrailingSlash => "the slash at the end",
            Self::DoubleSlash => "a doubled slash",
            Self::PathEscaping => "the escaping of the path",
            Self::OtherPath => "the path",
            Self::QueryDropped => "a part of the query, which did not arrive",
            Self::QueryAdded => "a part of the query, which was added on the way",
            Self::QueryOrder => "the order of the query",
            Self::QueryEscaping => "the escaping of the query",
            _ => return None,
        })
    }

    /// Whether public_url alone can be to blame.
    pub(super) fn is_of_public_url(&self) -> bool {
        matches!(
            self,
            Self::Scheme | Self::Host | Self::Www | Self::HostCase | Self::Port | Self::Prefix | Self::PublicUrl
        )
    }

    /// What is wrong and what to do about it, as a part of a sentence.
    pub(super) fn says(&self) -> String {
        let changed = |what: &str, undo: &str| format!("something between Twilio and bluetick {what}: {undo}");
        let pass = "let it pass the body on byte by byte";
        let foreign = |what: &str| format!("it was signed {what}, which Twilio never does: another program signed it");
        match self {
            Self::Fragment => foreign("together with the part of the URL behind #"),
            Self::UserInfo => foreign("with user and password in the URL"),
            Self::RequestLine => {
                changed("wrote a whole URL or a # into the request line", "let it pass on path and query alone")
            }
            Self::Plus => changed("took plus signs for spaces, or spaces for plus signs", pass),
            Self::HalfDecoded => changed("unescaped the form without escaping it again", pass),
            Self::DoubleEncoded => changed("escaped the form a second time", pass),
            Self::Charset => changed("changed the character set of the form, which must stay UTF-8", pass),
            Self::Html => changed("escaped the values for HTML (&amp; for &)", pass),
            Self::LineEnds => changed("changed the line ends inside a value", pass),
            Self::EmptyDropped(names) => changed(&format!("left out parameters that are empty ({names})"), pass),
            Self::Trimmed(name) => changed(&format!("trimmed the spaces around {name}"), pass),
            Self::Added(names) => {
                changed(&format!("added parameters that are not Twilio's ({})", cut(names, MAX_SHOWN)), pass)
            }
            Self::Json => changed("turned the form into JSON", pass),
            Self::ContentType => changed(
                "changed the Content-Type header",
                "let it pass application/x-www-form-urlencoded on, without which no form is read",
            ),
            Self::PostBecameGet => changed(
                "turned Twilio's POST into a GET, as a redirect does",
                "give Twilio the URL that the redirect leads to",
            ),
            Self::GetBecamePost => {
                changed("turned Twilio's GET into a POST", "give Twilio the URL with the method POST")
            }
            Self::OnlyUrl => "the URL alone was signed, and the parameters in the body were not: either the body was \
                              added on the way, or another program signed it"
                .to_owned(),
            Self::BodyChanged => changed("changed the body, which is not the one that bodySHA256 names", pass),
            Self::BodyNotHashed => "the URL is signed right, but it has no bodySHA256, so the body is not signed at \
                                    all: Twilio sends one with JSON, so let the query pass"
                .to_owned(),
            Self::OtherSigner => foreign("with the parameters not sorted or still escaped"),
            Self::TokenStaged(name) => {
                format!("it is signed with {name}, which is not let in yet: promote it, or let both in for a while")
            }
            Self::TokenRetired(name) => format!(
                "it is signed with {name}, which is not let in any more: set auth_token to the one that Twilio signs \
                 with, or find out who still uses the old one"
            ),
            Self::TokenOfOther(name) => format!(
                "it is signed with {name}, so it is about another account than the configured one: set account_sid and \
                 auth_token of the account that owns the sender, or give Twilio another URL there"
            ),
            Self::TokenOfApiKey(name) => format!(
                "it is signed with {name}: Twilio signs with the account's auth token alone, so another program \
                 signed it with an API key"
            ),
            Self::TokenSpaces(name) => {
                format!("{name} has spaces or a line end around it: set it again without them")
            }
            Self::TokenQuotes(name) => format!("{name} has quotes around it: set it again without them"),
            Self::TokenCase(name) => format!("{name} is written in capitals: set it in lower case, as Twilio shows it"),
            Self::TokenWithin(name) => format!("{name} is more than the token: set the 32 hex digits in it alone"),
            Self::SignerLineEnd(name) => {
                format!("whoever signed it has a line end behind {name}: it was another program, not Twilio")
            }
            Self::SignedWithSid => "it is signed with the account SID in place of a token: anybody can do that, so it \
                                    was not Twilio"
                .to_owned(),
            Self::SignedWithNothing => "it is signed with an empty token: anybody can do that, so it was not Twilio, \
                                        and a program of yours may lack its token"
                .to_owned(),
            Self::OtherAccount(account) => format!(
                "the signature is right, but the request is about the account {}, which is not the configured \
                 account_sid: set the account that owns the sender",
                cut(account, MAX_SHOWN)
            ),
            Self::SignatureSpaces => header("has spaces around it"),
            Self::SignatureQuotes => header("has quotes around it"),
            Self::SignatureRepeated => header("has several values"),
            Self::SignatureEscaped => header("was unescaped as if it were a part of a URL (+ or %)"),
            Self::SignaturePadding => header("lost the = at its end"),
            Self::SignatureCut => header("is cut off"),
            Self::SignatureCase => header("lost its upper or lower case"),
            Self::SignatureHex => foreign("in hex and not in base64"),
            Self::SignatureUrlSafe => foreign("in the base64 of URLs (- and _ for + and /)"),
            Self::Sha256 => foreign("with SHA-256 and not with SHA-1"),
            // These are told by what differs between two URLs.
            url => url.differs().unwrap_or_default().to_owned(),
        }
    }
}

/// More of a name or a number than this is nobody's, and would hide the rest of the sentence.
const MAX_SHOWN: usize = 200;

/// A text of the request's, cut to what can be read.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn header(what: &str) -> String {
    format!("the X-Twilio-Signature header {what}: let everything in front of bluetick pass it on as it comes")
}
