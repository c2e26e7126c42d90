//! Giving up what reading a document needs not: memory and time beyond the limits, files, new
//! processes, and every system call but a few harmless ones.

use std::{collections::BTreeMap, path::Path};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus, path_beneath_rules,
};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getpid, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::Limits;
use crate::error::Error;

/// Confines this process for the rest of its life.
pub(super) fn confine(limits: &Limits) -> Result<(), Error> {
    let failed = |what: &str, error: &dyn std::fmt::Display| Error::Unavailable {
        reason: format!("the reader cannot be confined ({what}: {error})"),
    };
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| failed("parent death signal", &error))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| failed("core dumps", &error))?;
    limit_resources(limits).map_err(|error| failed("limits", &error))?;
    // Also sets `no_new_privs`, without which the kernel takes no filter.
    let filter = filter().map_err(|error| failed("filter", &error))?;
    seccompiler::apply_filter(&filter).map_err(|error| failed("filter", &error))
}

/// Confines this process, which is about to become a program that reads pictures: it may read what
/// belongs to the system, and nothing that belongs to anybody.
pub(super) fn confine_reader_of_pictures(
    memory_bytes: u64,
    cpu_seconds: u64,
    program: &Path,
) -> Result<(), Error> {
    let failed = |what: &str, error: &dyn std::fmt::Display| Error::Unavailable {
        reason: format!("the reader of pictures cannot be confined ({what}: {error})"),
    };
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| failed("parent death signal", &error))?;
    let set = |resource, limit| {
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })
    };
    let limits = [
        (Resource::Data, memory_bytes),
        (Resource::As, memory_bytes.saturating_add(RESERVED)),
        (Resource::Cpu, cpu_seconds),
        (Resource::Nofile, 64),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ];
    for (resource, limit) in limits {
        set(resource, limit).map_err(|error| failed("limits", &error))?;
    }
    wall_off_files(program).map_err(|error| failed("Landlock", &error))?;
    let filter = picture_filter().map_err(|error| failed("filter", &error))?;
    seccompiler::apply_filter(&filter).map_err(|error| failed("filter", &error))
}

/// Where programs, libraries and what they know of languages are.
const SYSTEM: &[&str] = &["/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/opt", "/nix/store"];

/// Nothing but the system may be read, and nothing at all be written.
fn wall_off_files(program: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let abi = ABI::V1;
    let read = AccessFs::from_read(abi);
    let system = SYSTEM.iter().map(Path::new).chain([program]);
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(system, read))?
        .restrict_self()?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        _ => Err("this kernel has none; it came with Linux 5.13".into()),
    }
}

/// What a program needs besides, to be loaded and to read files. Others are answered with an
/// error, since versions of the program differ in what they try.
const READING_FILES: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_pread64,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_set_tid_address,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_prlimit64,
    libc::SYS_sched_getaffinity,
    libc::SYS_sysinfo,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_fcntl,
    libc::SYS_uname,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_tgkill,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_arch_prctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
];

fn picture_filter() -> Result<BpfProgram, Box<dyn std::error::Error>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().chain(READING_FILES).map(|&call| (call, Vec::new())).collect();
    // Only for reading: neither written to nor made.
    let writes = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;
    let writes = u64::from(writes.unsigned_abs());
    let only_reads = |argument: u8| -> Result<SeccompRule, seccompiler::BackendError> {
        let operator = SeccompCmpOp::MaskedEq(writes);
        SeccompRule::new(vec![SeccompCondition::new(
            argument,
            SeccompCmpArgLen::Dword,
            operator,
            0,
        )?])
    };
    rules.insert(libc::SYS_openat, vec![only_reads(2)?]);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, vec![only_reads(1)?]);
    let arch = std::env::consts::ARCH.try_into()?;
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    Ok(SeccompFilter::new(rules, refused, SeccompAction::Allow, arch)?.try_into()?)
}

/// Addresses that are reserved but hold nothing; allocators do that.
const RESERVED: u64 = 2 << 30;

fn limit_resources(limits: &Limits) -> rustix::io::Result<()> {
    let set = |resource, soft, hard| {
        setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })
    };
    // The first counts what can be written to, and so what can fill memory.
    set(Resource::Data, limits.memory_bytes, limits.memory_bytes)?;
    let addresses = limits.memory_bytes.saturating_add(RESERVED);
    set(Resource::As, addresses, addresses)?;
    // The soft limit ends the process with a signal of its own; the hard one is the safety net.
    set(Resource::Cpu, limits.cpu_seconds, limits.cpu_seconds.saturating_add(1))?;
    for nothing in [Resource::Fsize, Resource::Nofile, Resource::Nproc, Resource::Core] {
        set(nothing, 0, 0)?;
    }
    Ok(())
}

/// What a process needs that computes, allocates, and answers on a pipe it already has.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Giving memory a name, which allocators do: `PR_SET_VMA`.
const NAME_MEMORY: u64 = 0x5356_4d41;

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    let itself = u64::from(getpid().as_raw_nonzero().get().unsigned_abs());
    // A failing program ends itself by a signal, and may send one to nobody else.
    rules.insert(libc::SYS_tgkill, vec![first_argument(itself)?]);
    rules.insert(libc::SYS_prctl, vec![first_argument(NAME_MEMORY)?]);
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch)?.try_into()
}

fn first_argument(value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    let is_value = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?;
    SeccompRule::new(vec![is_value])
}
