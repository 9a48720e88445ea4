//! `config.toml` and `bluetick.env.example`: every key with its default, written by the code that reads them.

use toml::{Table, Value};

use super::Config;
use super::environment::PREFIX;
use super::keys::{KEYS, Key};

const FILE_HEAD: &str = "\
# bluetick: everything that can be chosen, with its default.
# A line that begins with #name is a default or an example: take the # away to change it.
# Later beats earlier: defaults, this file, the environment (BLUETICK__SECTION__KEY, see packaging/bluetick.env.example).
# Secrets are best kept in files of their own: auth_token_file = \"/path\" instead of auth_token = \"…\".
# `bluetick check` says what is wrong with it.
";

const ENVIRONMENT_HEAD: &str = "\
# bluetick: every key of config.toml as a variable of the environment, with its default.
# An empty variable counts as not set. Every secret may stand in a file instead: …_FILE=/path.
";

/// The annotated `config.toml`.
pub fn file() -> String {
    let defaults = defaults();
    let mut text = FILE_HEAD.to_owned();
    let mut section = "";
    for key in KEYS {
        let (its_section, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        let is_block = key.path == "senders";
        if its_section != section && !is_block {
            text.push_str(&format!("\n[{its_section}]\n"));
        } else {
            text.push('\n');
        }
        section = its_section;
        text.push_str(&comment(key));
        match (is_block, value(key, &defaults)) {
            (true, _) => text.push_str(&blocks(key)),
            (false, Value::Array(items)) if items.iter().any(Value::is_table) => {
                text.push_str(&format!("#{name} = [\n"));
                items.iter().for_each(|item| text.push_str(&format!("#    {item},\n")));
                text.push_str("#]\n");
            }
            (false, value) if key.is_secret => {
                text.push_str(&format!("#{name} = {value}\n#{name}_file = \"{}\"\n", secret_file(key)));
            }
            (false, value) => text.push_str(&format!("#{name} = {value}\n")),
        }
    }
    text
}

/// The annotated environment file.
pub fn environment() -> String {
    let defaults = defaults();
    let mut text = ENVIRONMENT_HEAD.to_owned();
    for key in KEYS {
        let name = format!("{PREFIX}{}", key.path.replace('.', "__").to_ascii_uppercase());
        text.push('\n');
        text.push_str(&comment(key));
        match value(key, &defaults) {
            _ if key.is_secret => text.push_str(&format!("#{name}_FILE={}\n", secret_file(key))),
            Value::String(plain) => text.push_str(&format!("#{name}={plain}\n")),
            value => text.push_str(&format!("#{name}={value}\n")),
        }
    }
    text
}

fn defaults() -> Table {
    Table::try_from(Config::default()).expect("the defaults are plain values")
}

/// What to show for a key: its default, or an example.
fn value(key: &Key, defaults: &Table) -> Value {
    let example = key.example.map(|toml| {
        let parsed = toml::from_str::<Table>(&format!("value = {toml}"));
        parsed.expect("every example is TOML").remove("value").expect("it was just written")
    });
    let mut sections: Vec<_> = key.path.split('.').collect();
    let name = sections.pop().unwrap_or_default();
    let section = sections.iter().try_fold(defaults, |table, section| table.get(*section)?.as_table());
    let default = section.and_then(|table| table.get(name)).cloned();
    example.or(default).expect("what has no default has an example")
}

fn comment(key: &Key) -> String {
    key.words.lines().map(|line| format!("# {line}\n")).collect()
}

/// Tables of a list at the top, as blocks.
fn blocks(key: &Key) -> String {
    let Value::Array(items) = value(key, &Table::new()) else { return String::new() };
    let block = |item: &Value| {
        let pairs = item.as_table().into_iter().flatten();
        let lines: String = pairs.map(|(name, value)| format!("#{name} = {value}\n")).collect();
        format!("#[[{}]]\n{lines}", key.path)
    };
    items.iter().map(block).collect()
}

fn secret_file(key: &Key) -> String {
    format!("/etc/bluetick/secrets/{}", key.path.replace('.', "_"))
}
