//! Where exports are kept: a folder, or a bucket, which every host of a fleet reaches.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use iyagi_actors::ports::{LocalFile, ObjectStore, PutOptions, StoreFault};
use iyagi_messages::object::ObjectKey;

use super::writing::aside_suffixes;
use super::{Export, ExportFault, checking};

/// A larger manifest is not one of ours.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024;

/// Where exports are kept.
#[derive(Clone)]
pub enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket.
    Bucket(Bucket),
}

/// A bucket that exports are kept in.
#[derive(Clone)]
pub struct Bucket {
    /// The bucket.
    pub store: Arc<dyn ObjectStore>,
    /// What keys begin with: empty, or ending with a slash.
    pub prefix: String,
    /// A folder of this machine, of its own, for exports on their way.
    pub on_their_way: PathBuf,
}

impl Place {
    /// The folder that exports are written to first.
    pub(in crate::embedded::journal) fn folder(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder,
            Self::Bucket(bucket) => &bucket.on_their_way,
        }
    }

    /// Brings an export that was written to the folder to where it is kept, and reads it back there.
    pub(in crate::embedded::journal) async fn keep(
        &self,
        export: &Export,
    ) -> Result<(), ExportFault> {
        let Self::Bucket(bucket) = self else {
            return Ok(());
        };
        // In this order, so that whoever finds a manifest finds its export.
        for file in [export.file.clone(), export.manifest()] {
            bucket.send(&file).await?;
        }
        self.clear()
    }

    /// Removes what is on its way from a run that was interrupted: it only fills the disk.
    pub(in crate::embedded::journal) fn clear(&self) -> Result<(), ExportFault> {
        let Self::Bucket(bucket) = self else {
            return Ok(());
        };
        match fs::remove_dir_all(&bucket.on_their_way) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(ExportFault::file(&bucket.on_their_way)(error))
            }
            _ => Ok(()),
        }
    }

    /// Reads an export and its manifest back, which must name the one before.
    pub(in crate::embedded::journal) async fn check(
        &self,
        export: &Export,
        before: Option<&Export>,
    ) -> Result<(), ExportFault> {
        let Self::Bucket(bucket) = self else {
            return checking::check(self.folder(), export, before);
        };
        let fetched = tempfile::tempdir();
        let fetched = fetched.map_err(ExportFault::file(&std::env::temp_dir()))?;
        let folder = fetched.path();
        let place = folder.join(&export.file);
        let parent = place.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(ExportFault::file(parent))?;
        bucket.fetch(&export.file, export.bytes, &place).await?;
        let manifest = export.manifest();
        let place = folder.join(&manifest);
        bucket.fetch(&manifest, MANIFEST_BYTES_MAX, &place).await?;
        checking::check(folder, export, before)
    }
}

impl Bucket {
    /// Stores a file unless it is there already, and reads it back. Another one of that name, which is of another history
    /// of this journal, is set aside.
    async fn send(&self, file: &str) -> Result<(), ExportFault> {
        let path = self.on_their_way.join(file);
        let here = File::open(&path).and_then(LocalFile::new);
        let here = here.map_err(ExportFault::file(&path))?;
        let wanted = here.sha256().map_err(ExportFault::file(&path))?;
        let key = self.key(file)?;
        if let Some(there) = self.stored(&key, u64::MAX).await? {
            if there.sha256().map_err(ExportFault::file(&path))? == wanted {
                return Ok(());
            }
            let aside = self.aside(file).await?;
            tracing::warn!(%key, %aside, "an export that the journal does not know of is set aside");
            self.put(&aside, &there).await?;
        }
        self.put(&key, &here).await?;
        let there = self.stored(&key, here.size()).await?;
        let there = there.map(|there| there.sha256()).transpose();
        if there.map_err(ExportFault::file(&path))?.as_deref() == Some(&*wanted) {
            Ok(())
        } else {
            Err(ExportFault::wrong(
                Path::new(key.as_str()),
                "it is read back otherwise",
            ))
        }
    }

    /// A key beside a file's own that nothing has yet.
    async fn aside(&self, file: &str) -> Result<ObjectKey, ExportFault> {
        let mut suffixes = aside_suffixes();
        loop {
            let suffix = suffixes.next().expect("numbers have no end");
            let aside = self.key(&format!("{file}{suffix}"))?;
            if self.size_of(&aside).await?.is_none() {
                return Ok(aside);
            }
        }
    }

    async fn put(&self, key: &ObjectKey, file: &LocalFile) -> Result<(), ExportFault> {
        let put = self.store.put_file(key, file, PutOptions::default()).await;
        put.map(drop).map_err(ExportFault::Store)
    }

    async fn stored(
        &self,
        key: &ObjectKey,
        bytes_max: u64,
    ) -> Result<Option<LocalFile>, ExportFault> {
        let Some(size) = self.size_of(key).await? else {
            return Ok(None);
        };
        let read = self.store.get_file(key, size.min(bytes_max)).await;
        read.map(|(file, _)| Some(file)).map_err(ExportFault::Store)
    }

    async fn size_of(&self, key: &ObjectKey) -> Result<Option<u64>, ExportFault> {
        match self.store.head(key).await {
            Ok(info) => Ok(Some(info.size)),
            Err(StoreFault::NotFound(_)) => Ok(None),
            Err(fault) => Err(ExportFault::Store(fault)),
        }
    }

    async fn fetch(&self, file: &str, bytes_max: u64, to: &Path) -> Result<(), ExportFault> {
        let key = self.key(file)?;
        let read = self.store.get_file(&key, bytes_max).await;
        let (stored, _) = read.map_err(ExportFault::Store)?;
        let copy = || io::copy(&mut stored.reader(), &mut File::create(to)?);
        copy().map(drop).map_err(ExportFault::file(to))
    }

    fn key(&self, file: &str) -> Result<ObjectKey, ExportFault> {
        let key = format!("{}{file}", self.prefix);
        ObjectKey::new(key.as_str())
            .map_err(|error| ExportFault::wrong(Path::new(&key), error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::embedded::objects::EmbeddedObjects;

    #[tokio::test]
    async fn exports_of_other_histories_are_set_aside_each_by_a_key_of_its_own() {
        const FILE: &str = "2026/01/31/1-2.jsonl.zst";
        let folder = tempfile::tempdir().expect("a folder");
        let files = folder.path().join("files");
        let store = EmbeddedObjects::open(&files, "bucket", None, Arc::new(SystemClock)).await;
        let bucket = Bucket {
            store: Arc::new(store.expect("opens")),
            prefix: "journal/exports/".to_owned(),
            on_their_way: folder.path().join("on-their-way"),
        };
        let here = bucket.on_their_way.join(FILE);
        fs::create_dir_all(here.parent().expect("a folder")).expect("made");
        for history in ["first", "second", "third", "third"] {
            fs::write(&here, history).expect("written");
            bucket.send(FILE).await.expect("sent");
        }
        let mut kept = Vec::new();
        for suffix in ["", ".unknown", ".unknown.2", ".unknown.3"] {
            let key = bucket.key(&format!("{FILE}{suffix}")).expect("a key");
            let stored = bucket.stored(&key, u64::MAX).await.expect("readable");
            kept.push(stored.map(|file| io::read_to_string(file.reader()).expect("text")));
        }
        let kept: Vec<Option<&str>> = kept.iter().map(Option::as_deref).collect();
        assert_eq!(kept, [Some("third"), Some("first"), Some("second"), None]);
    }
}
