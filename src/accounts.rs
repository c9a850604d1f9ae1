//! The user and group `etcd` among the accounts of the node: the text of passwd(5), group(5), shadow(5) and gshadow(5) with them in it.
//!
//! RKE2 looks both up in /etc/passwd and /etc/group themselves (rke2 `pkg/cli/cmds/profile_linux.go`; it is built with `osusergo`) and
//! gives etcd's directory to them at each start (rke2 `pkg/executor/staticpod/staticpod.go`), so the ids must be the same at each boot.

use std::collections::BTreeSet;

/// The name of both.
pub const NAME: &str = "etcd";

/// The id of user and group where nothing else decides it, after etcd's port 2379. It lies where no tool takes ids by itself first:
/// useradd(8) and systemd-sysusers(8) go down from 999 (or 499), adduser(8) goes up from 100.
pub const ID: u32 = 379;

/// The system ids that all distributions have in common: below the login range of each, also of those where that begins at 500.
const SYSTEM: std::ops::RangeInclusive<u32> = 100..=499;

/// Ids that stand for nobody, or for an error.
const NOBODY: [u32; 3] = [65534, 65535, u32::MAX];

/// What a file is, and what an entry of it consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// /etc/gshadow
    Gshadow,
    /// /etc/shadow
    Shadow,
    /// /etc/group
    Group,
    /// /etc/passwd
    Passwd,
}

impl Table {
    /// All, in the order in which they are written: what names an account comes last, so a run that was cut off is taken up by the next.
    pub const ALL: [Table; 4] = [Table::Gshadow, Table::Shadow, Table::Group, Table::Passwd];

    /// The name of the file in /etc.
    pub fn name(self) -> &'static str {
        match self {
            Table::Gshadow => "gshadow",
            Table::Shadow => "shadow",
            Table::Group => "group",
            Table::Passwd => "passwd",
        }
    }

    fn fields(self) -> usize {
        match self {
            Table::Gshadow | Table::Group => 4,
            Table::Shadow => 9,
            Table::Passwd => 7,
        }
    }

    fn has_ids(self) -> bool {
        matches!(self, Table::Passwd | Table::Group)
    }
}

/// What the files hold. Those of hidden passwords may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// /etc/passwd
    pub passwd: Vec<u8>,
    /// /etc/group
    pub group: Vec<u8>,
    /// /etc/shadow
    pub shadow: Option<Vec<u8>>,
    /// /etc/gshadow
    pub gshadow: Option<Vec<u8>>,
}

/// The ids that user and group have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// Of the user.
    pub user: u32,
    /// Of the group.
    pub group: u32,
}

impl Accounts {
    /// The bytes of one file, if it is there.
    pub fn get(&self, table: Table) -> Option<&[u8]> {
        match table {
            Table::Gshadow => self.gshadow.as_deref(),
            Table::Shadow => self.shadow.as_deref(),
            Table::Group => Some(&self.group),
            Table::Passwd => Some(&self.passwd),
        }
    }

    /// Adds what is missing of user and group, and gives the ids that they have then.
    ///
    /// What is there stays, byte for byte, and decides. Else the ids are those of `owner`, user and group of etcd's directory, each if no
    /// other name has it; else [`ID`], or the next that is free. The user gets `shell` and no password. Fails with a sentence if a file is
    /// no list of accounts, or the entry of etcd in it is not whole.
    pub fn add_etcd(&mut self, owner: Option<(u32, u32)>, shell: &str) -> Result<Ids, String> {
        let users = Entries::read(Table::Passwd, &self.passwd)?;
        let groups = Entries::read(Table::Group, &self.group)?;
        let shadow = self.shadow.as_deref().map(|bytes| Entries::read(Table::Shadow, bytes)).transpose()?;
        let gshadow = self.gshadow.as_deref().map(|bytes| Entries::read(Table::Gshadow, bytes)).transpose()?;

        let is_usable = |id: &u32| *id != 0 && !NOBODY.contains(id);
        let owner_user = owner.map(|(user, _)| user).filter(|id| is_usable(id) && !users.ids.contains(id));
        let owner_group = owner.map(|(_, group)| group).filter(|id| is_usable(id) && !groups.ids.contains(id));
        // The group that the user has already, if no other group has its id.
        let of_user = users.primary.filter(|id| is_usable(id) && !groups.ids.contains(id));
        let group = groups.own.or(of_user).or(owner_group);
        let user = users.own.or(owner_user);
        // One id for both, as useradd(8) gives, where both are missing.
        let is_free = |id: &u32| {
            (user.is_some() || !users.ids.contains(id)) && (group.is_some() || !groups.ids.contains(id))
        };
        let free = (ID..=*SYSTEM.end()).chain(*SYSTEM.start()..ID).find(is_free);
        let ids = match (user.or(free), group.or(free)) {
            (Some(user), Some(group)) => Ids { user, group },
            _ => {
                let (first, last) = (SYSTEM.start(), SYSTEM.end());
                return Err(format!("/etc/passwd: has no free id from {first} to {last} for etcd, free one"));
            }
        };

        if groups.own.is_none() {
            self.group = with_line(&self.group, &format!("{NAME}:x:{}:", ids.group));
            if let (Some(bytes), Some(false)) = (&mut self.gshadow, gshadow.map(|it| it.has_own)) {
                *bytes = with_line(bytes, &format!("{NAME}:!::"));
            }
        }
        if users.own.is_none() {
            // Without a shadow file the lock has to stand here.
            let password = if self.shadow.is_some() { "x" } else { "!" };
            let line = format!("{NAME}:{password}:{}:{}:etcd of RKE2:/:{shell}", ids.user, ids.group);
            self.passwd = with_line(&self.passwd, &line);
            if let (Some(bytes), Some(false)) = (&mut self.shadow, shadow.map(|it| it.has_own)) {
                *bytes = with_line(bytes, &format!("{NAME}:!:::::::"));
            }
        }
        Ok(ids)
    }
}

/// What one file says, as far as it matters here.
struct Entries {
    /// The ids of all entries.
    ids: BTreeSet<u32>,
    has_own: bool,
    /// The id of etcd.
    own: Option<u32>,
    /// The id of the group that the user etcd is in.
    primary: Option<u32>,
}

impl Entries {
    /// Reads a file. Lines of others that are no entries are passed over, as the system does.
    fn read(table: Table, bytes: &[u8]) -> Result<Entries, String> {
        let path = format!("/etc/{}", table.name());
        if bytes.contains(&0) {
            return Err(format!("{path}: is no text, etcd is not added, mend the file"));
        }
        let mut entries = Entries { ids: BTreeSet::new(), has_own: false, own: None, primary: None };
        let mut is_empty = true;
        for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| is_entry(line)) {
            let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
            let number = |at: usize| fields.get(at).and_then(|it| str::from_utf8(it).ok()?.parse::<u32>().ok());
            let is_whole = fields.len() == table.fields() && (!table.has_ids() || number(2).is_some());
            is_empty &= !is_whole;
            entries.ids.extend(number(2).filter(|_| table.has_ids()));
            if fields.first() != Some(&NAME.as_bytes()) {
                continue;
            }
            if !is_whole {
                return Err(format!("{path}: the entry of etcd is not whole, mend or remove it"));
            }
            if !entries.has_own {
                (entries.has_own, entries.own) = (true, number(2).filter(|_| table.has_ids()));
                entries.primary = number(3).filter(|_| table == Table::Passwd);
            }
        }
        if is_empty && table.has_ids() {
            return Err(format!("{path}: holds no entry at all, etcd is not added, mend the file"));
        }
        Ok(entries)
    }
}

/// No blank line, no comment, none of the lines by which NIS adds and takes away entries.
fn is_entry(line: &[u8]) -> bool {
    line.first().is_some_and(|first| !matches!(first, b'#' | b'+' | b'-'))
}

/// The file with one more line, before the lines of NIS, which must stay last.
fn with_line(bytes: &[u8], line: &str) -> Vec<u8> {
    let mut at = 0;
    for old in bytes.split_inclusive(|byte| *byte == b'\n') {
        if matches!(old.first(), Some(b'+' | b'-')) {
            break;
        }
        at += old.len();
    }
    let (before, after) = bytes.split_at(at);
    let mut all = before.to_vec();
    if !matches!(before.last(), None | Some(b'\n')) {
        all.push(b'\n');
    }
    all.extend_from_slice(line.as_bytes());
    all.push(b'\n');
    all.extend_from_slice(after);
    all
}
