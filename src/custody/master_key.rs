//! The master key: in a file of its own unless the configuration has it, and what it takes to change that file.
//!
//! Invariant: a wrong key is said, and nothing is opened with it; a file is whole and for its owner's eyes alone, or not there. A
//! rotation that is cut off anywhere leaves a key that opens the vault.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::CustodyError;
use crate::archive;
use crate::keyring::{Options, Secret, Vault, VaultKey};
use crate::store::Locks;

/// The name of the master key's file in the data folder.
pub const MASTER_KEY: &str = "master.key";

/// Where the master key is.
pub(super) struct MasterKey {
    configured: Option<Secret>,
    path: PathBuf,
}

impl MasterKey {
    /// Where the options say, else in the data folder.
    pub(super) fn of(options: &Options, dir: &Path) -> Self {
        let path = options.master_key_path.clone().unwrap_or_else(|| dir.join(MASTER_KEY));
        Self { configured: options.master_key.clone(), path }
    }

    /// Whether there is one, right or wrong.
    pub(super) fn is_there(&self) -> bool {
        self.configured.is_some() || self.path.exists() || self.next().exists()
    }

    /// Opens the vault that this key locks.
    pub(super) fn unlock(&self, locks: &Locks) -> Result<Vault, CustodyError> {
        if let Some(key) = self.configured()? {
            return key.unwrap(&locks.by_master).ok_or_else(|| wrong(&key, locks, "secrets.master_key"));
        }
        // A rotation that was cut off left two files; the store says which of them holds.
        let paths = [self.path.clone(), self.next()];
        let keys: Vec<_> = paths.iter().filter_map(|path| read(path).transpose()).collect::<Result<_, _>>()?;
        let Some(first) = keys.first() else {
            return Err(CustodyError::Locked(format!(
                "the secrets in the data file are sealed with the master key {}, and there is none at {}: bring that file along, or \
                 open them with the recovery key (bluetick secrets recover), or give them up (bluetick secrets reset)",
                locks.by_master.by,
                self.path.display()
            )));
        };
        let opened = keys.iter().find_map(|key| Some((key.name(), key.unwrap(&locks.by_master)?)));
        let (by, vault) = opened.ok_or_else(|| wrong(first, locks, &self.path.display().to_string()))?;
        if keys.len() == 2 {
            let is_next = by == keys[1].name();
            if is_next {
                self.settle_next()?;
            } else {
                fs::remove_file(&paths[1]).map_err(|error| unwritten(&paths[1], &error))?;
            }
        }
        Ok(vault)
    }

    /// The key, made if there is none.
    pub(super) fn read_or_make(&self) -> Result<VaultKey, CustodyError> {
        if let Some(key) = self.configured()? {
            return Ok(key);
        }
        read_or_make(&self.path)
    }

    /// Refuses where the key stands in the configuration, since bluetick cannot write there.
    pub(super) fn check_writable(&self) -> Result<(), CustodyError> {
        match self.configured {
            None => Ok(()),
            Some(_) => Err(CustodyError::Locked(
                "the master key stands in the configuration, which bluetick does not write: put a new one there by \
                 `bluetick secrets recover`, with the recovery key"
                    .to_owned(),
            )),
        }
    }

    /// Writes the next key beside the one that holds until the store goes by the next: a crash between leaves a file of each.
    pub(super) fn write_next(&self, key: &VaultKey) -> Result<(), CustodyError> {
        write(&self.next(), key, true)
    }

    /// The next key takes the place of the one before.
    pub(super) fn settle_next(&self) -> Result<(), CustodyError> {
        let settled = fs::rename(self.next(), &self.path).and_then(|()| archive::sync_folder_of(&self.path));
        settled.map_err(|error| unwritten(&self.path, &error))
    }

    fn configured(&self) -> Result<Option<VaultKey>, CustodyError> {
        let key = self.configured.as_ref().map(|text| VaultKey::read(text.expose())).transpose();
        key.map_err(|error| CustodyError::Locked(format!("secrets.master_key {error}")))
    }

    fn next(&self) -> PathBuf {
        self.path.with_extension("next")
    }
}

/// Locks the vault of a stopped bluetick by the master key at `path`, made if there is none, with the help of the recovery key.
pub fn recover(locks: &Locks, recovery: &VaultKey, path: &Path) -> Result<Locks, CustodyError> {
    let wrapped = locks.by_recovery.as_ref().ok_or_else(|| {
        CustodyError::Locked(
            "there is no recovery key for these secrets: bluetick secrets recovery-key makes one".to_owned(),
        )
    })?;
    let vault = recovery.unwrap(wrapped).ok_or_else(|| {
        let (given, needed) = (recovery.name(), wrapped.by);
        CustodyError::Locked(format!("that is another recovery key: {given}, and {needed} is needed"))
    })?;
    let key = read_or_make(path)?;
    Ok(Locks { by_master: key.wrap(&vault, rand::random()), by_recovery: locks.by_recovery.clone() })
}

fn wrong(key: &VaultKey, locks: &Locks, place: &str) -> CustodyError {
    CustodyError::Locked(format!(
        "the master key in {place} is {}, and the secrets in the data file are sealed with {}: put that one there, or open them with \
         the recovery key (bluetick secrets recover), or give them up (bluetick secrets reset)",
        key.name(),
        locks.by_master.by
    ))
}

fn read_or_make(path: &Path) -> Result<VaultKey, CustodyError> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    let key = VaultKey::new(rand::random());
    write(path, &key, false)?;
    tracing::info!(path = %path.display(), "a master key was made: keep a copy of it apart from the backups");
    Ok(key)
}

fn read(path: &Path) -> Result<Option<VaultKey>, CustodyError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Secret::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(CustodyError::Locked(format!("cannot read the master key {}: {error}", path.display())));
        }
    };
    if fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0) {
        tracing::warn!(path = %path.display(), "others on this machine may read the master key: chmod 400 keeps them from it");
    }
    let key = VaultKey::read(text.expose());
    key.map(Some).map_err(|error| CustodyError::Locked(format!("the master key in {} {error}", path.display())))
}

fn write(path: &Path, key: &VaultKey, may_replace: bool) -> Result<(), CustodyError> {
    let written = || -> std::io::Result<()> {
        let partial = path.with_extension("partial");
        let _ = fs::remove_file(&partial);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(&partial)?;
        writeln!(file, "{}", key.write().expose())?;
        file.sync_all()?;
        match may_replace {
            true => fs::rename(&partial, path)?,
            false => {
                fs::hard_link(&partial, path)?;
                fs::remove_file(&partial)?;
            }
        }
        archive::sync_folder_of(path)
    };
    written().map_err(|error| unwritten(path, &error))
}

fn unwritten(path: &Path, error: &std::io::Error) -> CustodyError {
    CustodyError::Locked(format!("cannot write the master key {}: {error}", path.display()))
}
