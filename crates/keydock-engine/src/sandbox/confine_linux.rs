//! Giving up what reading a document needs not: memory and time beyond the limits, files, new
//! processes, and every system call but a few harmless ones.

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
    let mut rules: std::collections::BTreeMap<i64, Vec<SeccompRule>> =
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
