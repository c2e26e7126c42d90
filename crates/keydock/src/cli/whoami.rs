//! `keydock whoami`

use clap::Args;
use serde_json::json;

use super::{Output, Result, connection::Connection};

/// Tell whose platform key this is
#[derive(Debug, Args)]
pub(super) struct Whoami {
    #[command(flatten)]
    connection: Connection,
}

impl Whoami {
    pub(super) async fn run(self, output: &Output) -> Result<()> {
        let (client, _) = self.connection.with_platform_key().await?;
        let me = client.whoami().await?;
        output.value(&json!(me), || {
            format!(
                "{} of {} ({}), {}",
                me.key_name, me.organization_id, me.organization_name, me.permission
            )
        });
        Ok(())
    }
}
