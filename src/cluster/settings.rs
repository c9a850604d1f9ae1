//! Settings of `providerConfig`: one row each, from which the struct, its reading, the documentation and the hints are made.

use std::time::Duration;

use crate::identity::accept::Accept;
use crate::rke2::drop_in;
use crate::text::duration;
use crate::text::paths::is_absolute;
use crate::text::yaml::Yaml11;

/// What the value of a setting is.
trait Value: Sized + PartialEq {
    /// What is accepted, for a person.
    const ACCEPTED: &'static str;
    /// The value of a text, if it is one.
    fn read(text: &str) -> Option<Self>;
    /// A text that gives the same value.
    fn text(&self) -> String;
}

impl Value for Duration {
    const ACCEPTED: &'static str = "a duration of at most a day, such as 90s or 10m";

    fn read(text: &str) -> Option<Self> {
        duration::parse(text)
    }

    fn text(&self) -> String {
        humantime::format_duration(*self).to_string()
    }
}

/// A time that is not over at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub Duration);

impl Value for Limit {
    const ACCEPTED: &'static str = "a duration from 1s to a day, such as 90s or 10m";

    fn read(text: &str) -> Option<Self> {
        duration::parse(text).filter(|it| it.as_secs() > 0).map(Limit)
    }

    fn text(&self) -> String {
        self.0.text()
    }
}

impl Value for bool {
    const ACCEPTED: &'static str = "true or false";

    fn read(text: &str) -> Option<Self> {
        drop_in::boolean(&Yaml11::Text(text.to_owned()))
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl Value for Accept {
    const ACCEPTED: &'static str = "lines of `GUARD: why`, each with the name of a guard";

    fn read(text: &str) -> Option<Self> {
        Accept::read(text)
    }

    fn text(&self) -> String {
        Accept::text(self)
    }
}

/// Whether swap stays as it is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Swap {
    /// It is switched off.
    #[default]
    Off,
    /// It stays.
    Keep,
}

impl Value for Swap {
    const ACCEPTED: &'static str = "keep";

    fn read(text: &str) -> Option<Self> {
        (text == "keep").then_some(Swap::Keep)
    }

    fn text(&self) -> String {
        if *self == Swap::Keep { "keep" } else { "off" }.into()
    }
}

/// Names of kernel modules.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Modules(pub Vec<String>);

impl Value for Modules {
    const ACCEPTED: &'static str = "names of kernel modules with blanks in between";

    fn read(text: &str) -> Option<Self> {
        let names = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|name| !name.is_empty());
        let is_name = |name: &str| {
            !name.starts_with('-')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        };
        names.map(|name| is_name(name).then(|| name.to_owned())).collect::<Option<_>>().map(Modules)
    }

    fn text(&self) -> String {
        self.0.join(" ")
    }
}

/// The name of a file in a directory, or an absolute path; none if it is empty.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct File(pub Option<String>);

impl Value for File {
    const ACCEPTED: &'static str = "the name of a file, or an absolute path without `..`";

    fn read(text: &str) -> Option<Self> {
        let is_file = is_absolute(text) || (!text.contains('/') && is_absolute(&format!("/{text}")));
        is_file.then(|| File(Some(text.to_owned()).filter(|text| !text.is_empty())))
    }

    fn text(&self) -> String {
        self.0.clone().unwrap_or_default()
    }
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// The key below `providerConfig`.
    pub name: &'static str,
    /// What it takes.
    pub accepted: &'static str,
    /// What holds without it; empty where that is nothing.
    pub default: fn() -> String,
    /// What it means.
    pub meaning: &'static str,
}

/// The key below `providerConfig` that is read before the settings, because the places of other files depend on it.
pub const ROOT_PATH: Row = Row {
    name: "cluster_root_path",
    accepted: "an absolute path",
    default: String::new,
    meaning: "Prefix of the scripts, of the content directory and of what a reset clears; not of `/etc/rancher`, `/etc/default`, `/run`",
};

macro_rules! settings {
    ($($name:ident: $kind:ty = $default:expr, $meaning:literal;)*) => {
        /// The settings of a node.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Settings { $(#[doc = $meaning] pub $name: $kind,)* }

        impl Default for Settings {
            fn default() -> Self {
                Settings { $($name: $default,)* }
            }
        }

        /// Every setting.
        pub const ROWS: &[Row] = &[$(Row {
            name: stringify!($name),
            accepted: <$kind as Value>::ACCEPTED,
            default: || <$kind as Value>::text(&$default),
            meaning: $meaning,
        },)*];

        impl Settings {
            /// Takes in the value of a setting. Gives nothing if there is no such setting, and fails with what is accepted.
            pub(crate) fn set(&mut self, name: &str, text: &str) -> Option<Result<(), &'static str>> {
                match name {
                    $(stringify!($name) => {
                        Some(Value::read(text).map(|value| self.$name = value).ok_or(<$kind as Value>::ACCEPTED))
                    })*
                    _ => None,
                }
            }

            /// The settings that differ from what holds without them, by name, as [`Settings::set`] takes them.
            pub(crate) fn given(&self) -> Vec<(&'static str, String)> {
                let mut given = Vec::new();
                $(if self.$name != $default {
                    given.push((stringify!($name), Value::text(&self.$name)));
                })*
                given
            }
        }
    };
}

settings! {
    swap: Swap = Swap::Off, "What becomes of swap: `keep` leaves it on";
    images_budget: Duration = Duration::from_secs(60), "How long the boot stage may import images; the rest is imported when RKE2 starts";
    images_wait: Duration = Duration::from_secs(600), "How long the start of RKE2 waits for images that still arrive";
    images_marker: File = File(None), "The file whose presence means that all images have arrived, in their directory or by its absolute path";
    networkmanager_unmanaged: bool = false, "Whether NetworkManager is kept from managing the interfaces of the CNI";
    inotify_limits: bool = false, "Whether the kernel's limits of inotify are raised, because many pods need it";
    kernel_modules: Modules = Modules(Vec::new()), "Kernel modules to load";
    copy_before_upgrade: bool = true, "Whether a server's data is copied before the first start of a newer minor version of RKE2";
    accept: Accept = Accept::default(), "What is allowed once although a guard stops it, in lines of `GUARD: why`";
    reset_timeout: Limit = Limit(Duration::from_secs(300)), "How long a reset may take";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_what_is_set() {
        let mut settings = Settings::default();
        assert_eq!(settings.given(), []);
        for (name, text, kept) in [
            ("swap", "keep", "keep"),
            ("images_budget", "90s", "1m 30s"),
            ("images_marker", "done", "done"),
            ("images_marker", "/run/done", "/run/done"),
            ("inotify_limits", "yes", "true"),
            ("kernel_modules", "br_netfilter,  overlay", "br_netfilter overlay"),
            ("copy_before_upgrade", "off", "false"),
            ("reset_timeout", "1h", "1h"),
        ] {
            assert_eq!(settings.set(name, text), Some(Ok(())), "{name}");
            let given = settings.given().into_iter().find(|(it, _)| *it == name).unwrap().1;
            assert_eq!(given, kept, "{name}");
        }
        let mut again = Settings::default();
        for (name, text) in settings.given() {
            assert_eq!(again.set(name, &text), Some(Ok(())), "{name}");
        }
        assert_eq!(again, settings);
    }

    #[test]
    fn what_is_no_value_is_refused_with_what_is_accepted() {
        for (name, text) in [
            ("swap", "off"),
            ("images_budget", "90"),
            ("images_wait", "25h"),
            ("reset_timeout", "0"),
            ("images_marker", "a/b"),
            ("images_marker", "/a/../b"),
            ("inotify_limits", "perhaps"),
            ("kernel_modules", "-r"),
            ("kernel_modules", "a;b"),
        ] {
            let row = ROWS.iter().find(|row| row.name == name).unwrap();
            assert_eq!(Settings::default().set(name, text), Some(Err(row.accepted)), "{name}: {text}");
        }
        assert_eq!(Settings::default().set("other", "x"), None);
    }
}
