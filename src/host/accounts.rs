//! The files of the node's accounts: locked as everybody else locks them, replaced whole.

use std::{
    fs::File,
    io::Write as _,
    os::fd::OwnedFd,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    fs::{
        AtFlags, FileType, FlockOperation, Gid, Mode, OFlags, Uid, XattrFlags, fchown, fcntl_lock, fgetxattr,
        fsetxattr, fstat, fsync, linkat, openat, renameat, statat, unlinkat,
    },
    io::{Errno, retry_on_intr},
    process::{Pid, getpid, test_kill_process},
};

use super::changes::{Became, Changes};
use super::files::{PERMISSIONS, create_temporary, kind_name, not_followed, open_own, read_regular, set_mode};
use super::{Error, Host, after};

/// Where they are.
const ETC: &str = "/etc";

/// What lckpwdf(3) locks.
const PASSWORD_LOCK: &str = ".pwd.lock";

/// The label by which SELinux knows a file.
const LABEL: &str = "security.selinux";

/// How much of a file is read.
const LIMIT: u64 = 16 << 20;

/// How long a taken lock is looked at again.
const TICK: Duration = Duration::from_millis(20);

/// The files of accounts in /etc, locked against everybody else until this drops.
#[derive(Debug)]
pub(crate) struct AccountFiles {
    etc: OwnedFd,
    /// Lock files that were made.
    made: Vec<String>,
    /// Released last: a process that has it expects no lock file in its way.
    _lock: OwnedFd,
    /// Where changes go instead, if nothing is to change.
    rehearsal: Option<Changes>,
}

impl Host {
    /// Locks the account files of these names in /etc, as shadow-utils does (`lib/commonio.c`): the lock of lckpwdf(3), then for each file a
    /// `.lock` beside it with the number of the process; one that a dead process has left is removed.
    ///
    /// Fails if somebody else holds one of them for the whole of `wait`.
    pub(crate) fn lock_accounts(&self, names: &[&str], wait: Duration) -> Result<AccountFiles, Error> {
        if let Some(rehearsal) = &self.rehearsal {
            return self.rehearse_accounts(rehearsal);
        }
        let end = after(wait);
        let etc = self.directory("lock", ETC, ETC)?;
        let path = format!("{ETC}/{PASSWORD_LOCK}");
        let lock = open_own(&etc, PASSWORD_LOCK, OFlags::WRONLY, "lock", &path)?;
        loop {
            match retry_on_intr(|| fcntl_lock(&lock, FlockOperation::NonBlockingLockExclusive)) {
                Ok(()) => break,
                Err(Errno::AGAIN | Errno::ACCESS) if Instant::now() < end => sleep(TICK),
                Err(Errno::AGAIN | Errno::ACCESS) => return Err(Error::Held { path, wait }),
                Err(errno) => return Err(Error::os("lock", &path, errno)),
            }
        }
        let mut files = AccountFiles { etc, made: Vec::new(), _lock: lock, rehearsal: None };
        for name in names {
            while !files.make_lock(name)? {
                if Instant::now() >= end {
                    return Err(Error::Held { path: format!("{ETC}/{name}.lock"), wait });
                }
                sleep(TICK);
            }
        }
        Ok(files)
    }

    fn rehearse_accounts(&self, rehearsal: &Changes) -> Result<AccountFiles, Error> {
        let open = || {
            let directory = self.open(ETC, OFlags::RDONLY | OFlags::DIRECTORY);
            directory.map_err(|errno| Error::os("lock", ETC, errno))
        };
        Ok(AccountFiles { etc: open()?, made: Vec::new(), _lock: open()?, rehearsal: Some(rehearsal.clone()) })
    }

    /// User and group of what is behind the path, symlinks followed.
    pub(crate) fn owner(&self, path: &str) -> Option<(u32, u32)> {
        let stat = self.open(path, OFlags::PATH).and_then(fstat).ok()?;
        Some((stat.st_uid, stat.st_gid))
    }
}

impl AccountFiles {
    /// Makes the lock file of a name; false if a living process has it.
    fn make_lock(&mut self, name: &str) -> Result<bool, Error> {
        let (lock, temporary) = (format!("{name}.lock"), format!(".{name}.lock.provider-rke2"));
        let path = format!("{ETC}/{lock}");
        let refused = |errno: Errno| Error::os("lock", &path, errno);
        let mut file = File::from(create_temporary(&self.etc, &path, &temporary)?);
        let number = getpid().as_raw_nonzero();
        let written = file.write_all(format!("{number}\0").as_bytes());
        let linked = written.map_err(|error| Error::os("lock", &path, error)).and_then(|()| {
            match linkat(&self.etc, temporary.as_str(), &self.etc, lock.as_str(), AtFlags::empty()) {
                Ok(()) => Ok(true),
                Err(Errno::EXIST) => Ok(false),
                Err(errno) => Err(refused(errno)),
            }
        });
        let _ = unlinkat(&self.etc, temporary.as_str(), AtFlags::empty());
        if linked? {
            self.made.push(lock);
            return Ok(true);
        }
        if self.is_left_over(&lock) {
            match unlinkat(&self.etc, lock.as_str(), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => return self.make_lock(name),
                Err(errno) => return Err(refused(errno)),
            }
        }
        Ok(false)
    }

    /// Whether the process whose number a lock file holds is gone. This one has not made it, so it is not its own.
    fn is_left_over(&self, lock: &str) -> bool {
        let Ok(Some(bytes)) = self.read_named(lock) else { return false };
        let text = String::from_utf8_lossy(&bytes);
        let Ok(number) = text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).parse::<i32>() else {
            return false;
        };
        let Some(pid) = Pid::from_raw(number).filter(|_| number > 0) else { return false };
        pid == getpid() || test_kill_process(pid) == Err(Errno::SRCH)
    }

    /// The bytes of a file; nothing if there is none. Fails for a symlink and for what is no file.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.read_named(name)
    }

    fn read_named(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = format!("{ETC}/{name}");
        if let Some(Became::File(bytes, _)) = self.rehearsal.as_ref().and_then(|it| it.at(&path)) {
            return Ok(Some(bytes));
        }
        self.open(name, &path)?.map(|file| read_regular(&file, &path, LIMIT)).transpose()
    }

    fn open(&self, name: &str, path: &str) -> Result<Option<File>, Error> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        // Looked at before it is opened: opening a device may do anything.
        let kind = match statat(&self.etc, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            other => FileType::from_raw_mode(other.map_err(|errno| Error::os("read", path, errno))?.st_mode),
        };
        if kind != FileType::RegularFile {
            return Err(Error::Kind { doing: "read", path: path.to_owned(), what: kind_name(kind) });
        }
        let opened = retry_on_intr(|| openat(&self.etc, name, flags, Mode::empty()));
        opened.map(|fd| Some(fd.into())).map_err(|errno| not_followed("read", path, errno))
    }

    /// Replaces the bytes of a file that is there; owner, mode and SELinux label stay. Who reads it meets the old or the new content.
    ///
    /// Fails, with the old content in place, if the system says no.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = format!("{ETC}/{name}");
        let refused = |error: std::io::Error| Error::os("write", &path, error);
        let old = self.open(name, &path)?.ok_or_else(|| refused(Errno::NOENT.into()))?;
        if let Some(rehearsal) = &self.rehearsal {
            let mode = fstat(&old).map_err(|errno| refused(errno.into()))?.st_mode & PERMISSIONS;
            rehearsal.set(&path, Became::File(bytes.to_vec(), mode));
            return Ok(());
        }
        let temporary = format!(".{name}.provider-rke2");
        let new = create_temporary(&self.etc, &path, &temporary)?;
        let written = like(&old, &new).and_then(|()| {
            let mut new = File::from(new);
            new.write_all(bytes)?;
            new.sync_all()?;
            Ok(renameat(&self.etc, temporary.as_str(), &self.etc, name)?)
        });
        if let Err(error) = written {
            // The first failure is the one to tell.
            let _ = unlinkat(&self.etc, temporary.as_str(), AtFlags::empty());
            return Err(refused(error));
        }
        retry_on_intr(|| fsync(&self.etc)).map_err(|errno| refused(errno.into()))
    }
}

impl Drop for AccountFiles {
    fn drop(&mut self) {
        for lock in self.made.iter().rev() {
            let _ = unlinkat(&self.etc, lock.as_str(), AtFlags::empty());
        }
    }
}

/// Gives a new file the owner, label and mode of another, before there is anything in it.
fn like(old: &File, new: &OwnedFd) -> std::io::Result<()> {
    let (its, own) = (fstat(old)?, fstat(new)?);
    if (its.st_uid, its.st_gid) != (own.st_uid, own.st_gid) {
        fchown(new, Some(Uid::from_raw(its.st_uid)), Some(Gid::from_raw(its.st_gid)))?;
    }
    let label = |file: &dyn std::os::fd::AsFd| {
        let mut label = [0; 512];
        let length = fgetxattr(file, LABEL, &mut label).ok()?;
        label.get(..length).map(<[u8]>::to_vec)
    };
    if let Some(label) = label(old).filter(|it| label(new).as_ref() != Some(it)) {
        fsetxattr(new, LABEL, &label, XattrFlags::empty())?;
    }
    Ok(set_mode(new, its.st_mode & PERMISSIONS)?)
}
