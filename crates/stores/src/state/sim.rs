//! A disk in memory that loses power, and the state store on it: for crash tests of store and pipeline.
//!
//! Writes reach the platter at a sync. A power cut at a counted operation leaves, of everything since the last sync,
//! any sectors in any order: lost, kept, older over newer.
#![expect(
    clippy::unwrap_used,
    clippy::return_self_not_must_use,
    clippy::missing_errors_doc,
    reason = "a fixture of tests"
)]

use super::db::StateDb;
use super::settings::Bounds;
use super::store::Store;
use barmill_core::port::StateError;
use redb::{Builder, StorageBackend};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

const SECTOR: usize = 512;

#[derive(Debug, Default)]
struct Platter {
    /// What a reader sees.
    cache: Vec<u8>,
    /// What survives a power cut for certain.
    durable: Vec<u8>,
    pending: Vec<Pending>,
    /// Operations until the power goes; none when it stays.
    left: Option<u64>,
    /// Bytes the disk holds; none when it is boundless.
    len_max: Option<usize>,
    dead: bool,
}

#[derive(Debug, Clone)]
enum Pending {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

/// The disk; its clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimDisk(Arc<Mutex<Platter>>);

impl SimDisk {
    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    /// Lets the power go after `operations` more.
    pub fn cut_after(&self, operations: u64) {
        self.lock().left = Some(operations);
    }

    /// Bounds the disk, or lifts the bound.
    pub fn bound(&self, len_max: Option<usize>) {
        self.lock().len_max = len_max;
    }

    /// Bytes of the file.
    pub fn size(&self) -> usize {
        self.lock().cache.len()
    }

    /// The disk as it is found when the power is back.
    pub fn after_power_cut(&self, random: &mut fastrand::Rng) -> SimDisk {
        let platter = self.lock();
        let mut image = platter.durable.clone();
        let mut sectors = Vec::new();
        for pending in &platter.pending {
            match pending {
                Pending::SetLen(len) if random.bool() => image.resize(*len, 0),
                Pending::SetLen(_) => {}
                Pending::Write(offset, data) => sectors.extend(split(*offset, data)),
            }
        }
        random.shuffle(&mut sectors);
        let keep = [0, 50, 90, 100][random.usize(0..4)];
        for (offset, data) in sectors {
            if random.u32(0..100) < keep && offset + data.len() <= image.len() {
                image[offset..offset + data.len()].copy_from_slice(data);
            }
        }
        SimDisk::holding(image)
    }

    /// The disk as the next process finds it after the one before was killed: all it wrote is there.
    pub fn after_kill(&self) -> SimDisk {
        SimDisk::holding(self.lock().cache.clone())
    }

    fn holding(image: Vec<u8>) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(Platter {
            cache: image.clone(),
            durable: image,
            ..Platter::default()
        })))
    }
}

/// Cuts a write at the edges of sectors.
fn split(offset: usize, data: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let end = (data.len()).min(start + SECTOR - (offset + start) % SECTOR);
        at = end;
        (start < end).then(|| (offset + start, &data[start..end]))
    })
}

impl Platter {
    fn step(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.left {
            self.dead |= *left == 0;
            *left = left.saturating_sub(1);
        }
        if self.dead {
            Err(ErrorKind::Other.into())
        } else {
            Ok(())
        }
    }
}

fn narrow(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl StorageBackend for SimDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.size()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.lock();
        let start = narrow(offset);
        let data = platter
            .cache
            .get(start..start + out.len())
            .ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(data);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut platter = self.lock();
        platter.step()?;
        if platter.len_max.is_some_and(|len_max| len_max < narrow(len)) {
            return Err(ErrorKind::StorageFull.into());
        }
        platter.cache.resize(narrow(len), 0);
        platter.pending.push(Pending::SetLen(narrow(len)));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.lock();
        platter.step()?;
        for pending in std::mem::take(&mut platter.pending) {
            match pending {
                Pending::SetLen(len) => platter.durable.resize(len, 0),
                Pending::Write(offset, data) => {
                    platter.durable[offset..offset + data.len()].copy_from_slice(&data);
                }
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut platter = self.lock();
        platter.step()?;
        let start = narrow(offset);
        platter
            .cache
            .get_mut(start..start + data.len())
            .ok_or(ErrorKind::UnexpectedEof)?
            .copy_from_slice(data);
        platter.pending.push(Pending::Write(start, data.to_vec()));
        Ok(())
    }
}

impl Store {
    /// Opens or makes the state on the disk; with `check` all of it is verified.
    pub(super) fn on_disk(
        disk: &SimDisk,
        check: bool,
        bounds: Bounds,
    ) -> Result<Store, StateError> {
        let disk = disk.clone();
        let opener = Box::new(move |wanted: bool| {
            let mut builder = Builder::new();
            builder
                .set_cache_size(1 << 18)
                .set_check_integrity_on_open(wanted && check);
            builder.create_with_backend(disk.clone())
        });
        Store::open(PathBuf::from("sim.redb"), opener, bounds)
    }
}

impl StateDb {
    /// Opens or makes the state on a simulated disk, with the check of all of it. Every call is answered at once on the
    /// caller's thread, so that paused time and one seed decide everything.
    pub fn on_disk(disk: &SimDisk, bounds: Bounds) -> Result<StateDb, StateError> {
        Store::on_disk(disk, true, bounds).map(StateDb::without_thread)
    }
}
