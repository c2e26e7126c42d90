//! A thread that starts the children.
//!
//! A child dies with the thread that started it, not with the process, and threads of a runtime
//! come and go. This one stays as long as its sandbox.

use std::{io, sync::mpsc, thread};

use tokio::{
    process::{Child, Command},
    runtime::Handle,
    sync::oneshot,
};

struct Order {
    command: Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// Starts processes on a thread of its own.
#[derive(Debug)]
pub(super) struct Spawner(mpsc::Sender<Order>);

impl Spawner {
    pub(super) fn start() -> io::Result<Self> {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            for mut order in orders {
                let _runtime = order.runtime.enter();
                // Nobody waits any more: the child is killed as it is dropped.
                let _ = order.reply.send(order.command.spawn());
            }
        })?;
        Ok(Self(sender))
    }

    pub(super) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, child) = oneshot::channel();
        let gone = || io::Error::other("the spawner is gone");
        let order = Order { command, runtime: Handle::current(), reply };
        self.0.send(order).map_err(|_| gone())?;
        child.await.map_err(|_| gone())?
    }
}
