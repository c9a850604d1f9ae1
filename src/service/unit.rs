//! The state of a unit, in the words of systemd.

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $word:literal,)* } else $other:ident) => {
        $(#[$meta])*
        #[allow(clippy::enum_variant_names, reason = "the words are systemd's")]
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// Another one, or none that is known.
            #[default]
            $other,
        }

        impl $name {
            /// Reads the manager's word.
            pub(crate) fn of(word: &str) -> Self {
                match word { $($word => $name::$variant,)* _ => $name::$other }
            }

            /// The manager's word.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* $name::$other => "unknown" }
            }
        }
    };
}

words! {
    /// What the manager has read of a unit (systemctl(1), `LoadState`).
    Load {
        /// It can be started.
        Loaded "loaded",
        /// There is none.
        NotFound "not-found",
        /// It must not be started.
        Masked "masked",
        /// Its file has a mistake.
        BadSetting "bad-setting",
        /// Its file cannot be read.
        Error "error",
    } else Unknown
}

words! {
    /// What a unit does (systemctl(1), `ActiveState`).
    Active {
        /// It is ready.
        Active "active",
        /// It is not ready yet.
        Activating "activating",
        /// It reads its configuration anew.
        Reloading "reloading",
        /// The manager brings it up to date.
        Refreshing "refreshing",
        /// It is being stopped.
        Deactivating "deactivating",
        /// It does not run.
        Inactive "inactive",
        /// It has ended by itself.
        Failed "failed",
        /// Nothing can be done with it now.
        Maintenance "maintenance",
    } else Unknown
}

/// The state of a service, as systemctl(1) `show` has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitState {
    /// Whether it can be started.
    pub load: Load,
    /// What it does.
    pub active: Active,
    /// `running`, `start`, `auto-restart`, …; with OpenRC its own word, such as `started`.
    pub sub: String,
    /// Whether a job of it is queued or running.
    pub job: bool,
    /// How often the manager has started it again by itself.
    pub restarts: u32,
    /// How it ended last: `success`, `exit-code`, …; empty where nobody knows.
    pub result: String,
    /// Whether its files have changed since the manager has read them.
    pub stale: bool,
    /// Since when it is in this state, in the manager's words; empty where nobody knows.
    pub since: String,
}

impl UnitState {
    /// Whether its process runs.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.active, Active::Active | Active::Activating | Active::Reloading | Active::Refreshing)
    }

    /// Whether it runs or is about to.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_up() || self.active == Active::Deactivating || self.job
    }

    /// Whether it has ended, and the manager is about to start it again by itself.
    pub(crate) fn is_between_attempts(&self) -> bool {
        self.active == Active::Activating && self.sub.starts_with("auto-restart")
    }
}
