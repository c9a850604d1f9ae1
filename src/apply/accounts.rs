//! The user and group `etcd` among the accounts of the node: the text of passwd(5), group(5), shadow(5) and gshadow(5) with them in it.
//!
//! RKE2 looks both up in /etc/passwd and /etc/group themselves (rke2 `pkg/cli/cmds/profile_linux.go`; it is built with `osusergo`) and
//! gives etcd's directory to them at each start (rke2 `pkg/executor/staticpod/staticpod.go`), so the ids must be the same at each boot.

/// The name of both.
pub(crate) const NAME: &str = "etcd";

/// The id of user and group where nothing else decides it, after etcd's port 2379. It lies where no tool takes ids by itself first:
/// useradd(8) and systemd-sysusers(8) go down from 999 (or 499), adduser(8) goes up from 100.
pub(crate) const ID: u32 = 379;

/// The system ids that all distributions have in common: below the login range of each, also of those where that begins at 500.
const SYSTEM: std::ops::RangeInclusive<u32> = 100..=499;

/// Ids that stand for nobody, or for an error.
const NOBODY: [u32; 3] = [65534, 65535, u32::MAX];

/// What a file is, and what an entry of it consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
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
    pub(crate) const ALL: [Table; 4] = [Table::Gshadow, Table::Shadow, Table::Group, Table::Passwd];

    /// The name of the file in /etc.
    pub(crate) fn name(self) -> &'static str {
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
pub(crate) struct Accounts {
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
pub(crate) struct Ids {
    /// Of the user.
    pub user: u32,
    /// Of the group.
    pub group: u32,
}

impl Accounts {
    /// The bytes of one file, if it is there.
    pub(crate) fn get(&self, table: Table) -> Option<&[u8]> {
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
    /// other name has it; else [`ID`], or the next that is free, the same for both if possible. The user gets `shell` and no password.
    /// Fails with a sentence if a file is no list of accounts, or the entry of etcd in it is not whole.
    pub(crate) fn add_etcd(&mut self, owner: Option<(u32, u32)>, shell: &str) -> Result<Ids, String> {
        let users = Entries::read(Table::Passwd, &self.passwd)?;
        let groups = Entries::read(Table::Group, &self.group)?;
        let shadow = self.shadow.as_deref().map(|bytes| Entries::read(Table::Shadow, bytes)).transpose()?;
        let gshadow = self.gshadow.as_deref().map(|bytes| Entries::read(Table::Gshadow, bytes)).transpose()?;

        let is_usable = |id: &u32| *id != 0 && !NOBODY.contains(id);
        let owner_user = owner.map(|(user, _)| user).filter(|id| is_usable(id) && !users.ids.contains(id));
        let owner_group = owner.map(|(_, group)| group).filter(|id| is_usable(id) && !groups.ids.contains(id));
        // The group that the user has already, if no other group has its id.
        let of_user = users.primary.filter(|id| is_usable(id) && !groups.ids.contains(id));
        let user = users.own.or(owner_user);
        let find = |is_free: &dyn Fn(&u32) -> bool| {
            let (first, last) = (*SYSTEM.start(), *SYSTEM.end());
            let none = || format!("/etc/passwd: has no free id from {first} to {last} for etcd; free one");
            (ID..=last).chain(first..ID).find(is_free).ok_or_else(none)
        };
        let group = match groups.own.or(of_user).or(owner_group) {
            Some(group) => group,
            None => find(&|id| !groups.ids.contains(id) && (user.is_some() || !users.ids.contains(id)))?,
        };
        // One id for both where that can be, as useradd(8) does it; also what a run that was cut off before the user goes on with.
        let user = match user.or(Some(group).filter(|id| is_usable(id) && !users.ids.contains(id))) {
            Some(user) => user,
            None => find(&|id| !users.ids.contains(id))?,
        };
        let ids = Ids { user, group };

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
    ids: Vec<u32>,
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
            return Err(format!("{path}: is no text, so etcd is not added; mend the file"));
        }
        let mut entries = Entries { ids: Vec::new(), has_own: false, own: None, primary: None };
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
                return Err(format!("{path}: the entry of etcd is not whole; mend or remove it"));
            }
            if !entries.has_own {
                (entries.has_own, entries.own) = (true, number(2).filter(|_| table.has_ids()));
                entries.primary = number(3).filter(|_| table == Table::Passwd);
            }
        }
        if is_empty && table.has_ids() {
            return Err(format!("{path}: holds no entry at all, so etcd is not added; mend the file"));
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

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n";
    const GROUP: &str = "root:x:0:\n";
    const SHADOW: &str = "root:$6$hash:19000:0:99999:7:::\n";
    const GSHADOW: &str = "root:*::\n";
    const USER: &str = "etcd:x:379:379:etcd of RKE2:/:/sbin/nologin\n";

    fn accounts(passwd: &str, group: &str, shadow: Option<&str>, gshadow: Option<&str>) -> Accounts {
        Accounts {
            passwd: passwd.into(),
            group: group.into(),
            shadow: shadow.map(Into::into),
            gshadow: gshadow.map(Into::into),
        }
    }

    fn added(before: &Accounts, owner: Option<(u32, u32)>) -> Accounts {
        let mut after = before.clone();
        let ids = after.add_etcd(owner, "/sbin/nologin").unwrap();
        // A second run finds what it needs, also where somebody else owns the data by then.
        for owner in [None, owner, Some((4711, 4712))] {
            let mut again = after.clone();
            assert_eq!((again.add_etcd(owner, "/sbin/other"), &again), (Ok(ids), &after));
        }
        // As is every state in which a run may have been cut off between two files.
        for last in 0..Table::ALL.len() {
            let mut cut = before.clone();
            for table in &Table::ALL[..last] {
                match table {
                    Table::Gshadow => cut.gshadow.clone_from(&after.gshadow),
                    Table::Shadow => cut.shadow.clone_from(&after.shadow),
                    Table::Group => cut.group.clone_from(&after.group),
                    Table::Passwd => {}
                }
            }
            assert_eq!((cut.add_etcd(owner, "/sbin/nologin"), cut), (Ok(ids), after.clone()), "{last}");
        }
        after
    }

    #[test]
    fn user_and_group_are_added_to_all_files() {
        let after = added(&accounts(PASSWD, GROUP, Some(SHADOW), Some(GSHADOW)), None);
        let expected = accounts(
            &format!("{PASSWD}{USER}"),
            &format!("{GROUP}etcd:x:379:\n"),
            Some(&format!("{SHADOW}etcd:!:::::::\n")),
            Some(&format!("{GSHADOW}etcd:!::\n")),
        );
        assert_eq!(after, expected);
        // Without the files of hidden passwords nothing can be hidden there.
        let after = added(&accounts(PASSWD, GROUP, None, None), None);
        let user = USER.replace(":x:", ":!:");
        assert_eq!(after, accounts(&format!("{PASSWD}{user}"), &format!("{GROUP}etcd:x:379:\n"), None, None));
    }

    #[test]
    fn the_ids_follow_what_is_there() {
        let lines: Vec<String> = (100..500).map(|id| format!("u{id}:x:{id}:{id}::/:/bin/false\n")).collect();
        let taken = lines.concat();
        // passwd and group besides root, owner of the data → ids of user and group.
        for (passwd, group, owner, ids) in [
            ("", "", None, (379, 379)),
            ("", "", Some((52, 53)), (52, 53)),
            ("", "", Some((70_000, 70_001)), (70_000, 70_001)),
            // Root's and nobody's are not etcd's.
            ("", "", Some((0, 0)), (379, 379)),
            ("", "", Some((65534, 65534)), (379, 379)),
            ("", "", Some((u32::MAX, 65535)), (379, 379)),
            // Somebody else has one or both.
            ("a:x:52:52::/:\n", "", Some((52, 53)), (53, 53)),
            ("", "a:x:53:\n", Some((52, 53)), (52, 379)),
            ("a:x:52:52::/:\n", "a:x:53:\n", Some((52, 53)), (379, 379)),
            ("a:x:379:1::/:\n", "", None, (380, 380)),
            ("a:x:379:1::/:\n", "a:x:380:\n", None, (381, 381)),
            ("a:x:379:1::/:\nb:x:53:1::/:\n", "", Some((0, 53)), (380, 53)),
            // What is there decides.
            ("etcd:x:1234:1235::/:\n", "etcd:x:77:\n", Some((52, 53)), (1234, 77)),
            ("", "etcd:x:77:\n", None, (77, 77)),
            ("a:x:77:77::/:\n", "etcd:x:77:\n", None, (379, 77)),
            ("", "etcd:x:77:\n", Some((52, 53)), (52, 77)),
            ("a:x:379:1::/:\n", "etcd:x:379:\n", None, (380, 379)),
            ("etcd:x:1234:1235::/:\n", "", None, (1234, 1235)),
            ("etcd:x:1234:1235::/:\n", "a:x:1235:\n", None, (1234, 379)),
            ("etcd:x:1234:0::/:\n", "", Some((52, 53)), (1234, 53)),
            // An entry of others that is not whole has its id all the same.
            ("a:x:379\n", "", None, (380, 380)),
            // Ids that are names, numbers too large, in another base or with blanks are none.
            ("a:x:b:c::/:\nb:x:4294967296:1::/:\nc:x:0x17b:1::/:\n", "", None, (379, 379)),
            (taken.replace("u105:x:105:", "u105:x:99:").as_str(), "", None, (105, 105)),
        ] {
            let before = accounts(&format!("{PASSWD}{passwd}"), &format!("{GROUP}{group}"), None, None);
            let mut after = added(&before, owner);
            let found = after.add_etcd(None, "").unwrap();
            assert_eq!((found.user, found.group), ids, "{passwd:?} {group:?} {owner:?}");
            if passwd.contains("etcd:") {
                assert_eq!(after.passwd, before.passwd);
            }
            if group.contains("etcd:") {
                assert_eq!(after.group, before.group);
            }
        }
        let mut full = accounts(&format!("{PASSWD}{taken}"), GROUP, None, None);
        let sentence = "/etc/passwd: has no free id from 100 to 499 for etcd; free one";
        assert_eq!(full.add_etcd(None, ""), Err(sentence.to_owned()));
        assert_eq!(full.add_etcd(Some((52, 53)), ""), Ok(Ids { user: 52, group: 53 }));
    }

    #[test]
    fn other_lines_keep_their_bytes_and_those_of_nis_stay_last() {
        let root = "root:x:0:0:root:/root:/bin/bash";
        // Before → after, where the new line is LINE.
        for (before, after) in [
            (format!("{root}\n"), format!("{root}\nLINE")),
            (root.to_owned(), format!("{root}\nLINE")),
            (format!("{root}\n\n"), format!("{root}\n\nLINE")),
            (format!("# users\n{root}\n"), format!("# users\n{root}\nLINE")),
            (format!("{root}\r\nb:x:5:5::/:\r\n"), format!("{root}\r\nb:x:5:5::/:\r\nLINE")),
            (format!("{root}\n+::::::\n"), format!("{root}\nLINE+::::::\n")),
            (format!("{root}\n+::::::"), format!("{root}\nLINE+::::::")),
            (
                format!("{root}\n-mallory\n+@admins::::::\n+::::::\n"),
                format!("{root}\nLINE-mallory\n+@admins::::::\n+::::::\n"),
            ),
            (format!("{root}\n+@admins\nb:x:5:5::/:\n"), format!("{root}\nLINE+@admins\nb:x:5:5::/:\n")),
            (format!("+\n{root}\n"), format!("LINE+\n{root}\n")),
            (format!("{root}\ngarbage\n::::::\n:x\n"), format!("{root}\ngarbage\n::::::\n:x\nLINE")),
            (
                format!("{root}\netcdx:x:5:5::/:\n#etcd:x:6:6::/:\n"),
                format!("{root}\netcdx:x:5:5::/:\n#etcd:x:6:6::/:\nLINE"),
            ),
            (format!("{root}\n+etcd::::::\n"), format!("{root}\nLINE+etcd::::::\n")),
        ] {
            let found = added(&accounts(&before, GROUP, Some(SHADOW), None), None);
            assert_eq!(String::from_utf8(found.passwd).unwrap(), after.replace("LINE", USER), "{before:?}");
        }
        let mut bytes = b"root:x:0:0:caf\xe9:/root:\n".to_vec();
        let mut odd = Accounts { passwd: bytes.clone(), group: GROUP.into(), ..Accounts::default() };
        odd.add_etcd(None, "/sbin/nologin").unwrap();
        bytes.extend_from_slice(USER.replace(":x:", ":!:").as_bytes());
        assert_eq!(odd.passwd, bytes);
    }

    #[test]
    fn what_is_no_list_of_accounts_is_refused() {
        let not_whole = |path: &str| format!("{path}: the entry of etcd is not whole; mend or remove it");
        let no_text = |path: &str| format!("{path}: is no text, so etcd is not added; mend the file");
        let no_entry = |path: &str| format!("{path}: holds no entry at all, so etcd is not added; mend the file");
        for (passwd, group, shadow, gshadow, sentence) in [
            ("", GROUP, SHADOW, GSHADOW, no_entry("/etc/passwd")),
            ("\n# none\n+::::::\nroot\n", GROUP, SHADOW, GSHADOW, no_entry("/etc/passwd")),
            ("#root:x:0:0::/:\n+etcd:x:1:1::/:\n", GROUP, SHADOW, GSHADOW, no_entry("/etc/passwd")),
            (PASSWD, "", SHADOW, GSHADOW, no_entry("/etc/group")),
            (PASSWD, "root:x:0\n", SHADOW, GSHADOW, no_entry("/etc/group")),
            ("\0\0\0", GROUP, SHADOW, GSHADOW, no_text("/etc/passwd")),
            (PASSWD, GROUP, "root:x\0", GSHADOW, no_text("/etc/shadow")),
            ("root:x:0:0::/:\netcd\n", GROUP, SHADOW, GSHADOW, not_whole("/etc/passwd")),
            ("root:x:0:0::/:\netcd:x:1:1:::\nx\n etcd:x:a:1:::\n", GROUP, SHADOW, GSHADOW, not_whole("/etc/passwd")),
            ("root:x:0:0::/:\netcd:x:-1:1:::\n", GROUP, SHADOW, GSHADOW, not_whole("/etc/passwd")),
            (PASSWD, "root:x:0:\netcd:x:379:a:b\n", SHADOW, GSHADOW, not_whole("/etc/group")),
            (PASSWD, GROUP, "etcd:!\n", GSHADOW, not_whole("/etc/shadow")),
            (PASSWD, GROUP, SHADOW, "etcd\n", not_whole("/etc/gshadow")),
        ] {
            let before = accounts(passwd, group, Some(shadow), Some(gshadow));
            let mut after = before.clone();
            assert_eq!(after.add_etcd(None, ""), Err(sentence));
            assert_eq!(after, before);
        }
        // Nobody needs a hidden password.
        let mut bare = accounts(PASSWD, GROUP, Some(""), Some(""));
        bare.add_etcd(None, "").unwrap();
        assert_eq!(
            (bare.shadow.as_deref(), bare.gshadow.as_deref()),
            (Some(&b"etcd:!:::::::\n"[..]), Some(&b"etcd:!::\n"[..]))
        );
    }
}
