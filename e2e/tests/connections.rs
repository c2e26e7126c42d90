//! What a client sees of its connection.

use anyhow::Result;
use keydock_e2e::Server;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Most clients send a whole document before they listen.
#[tokio::test]
async fn a_refusal_reaches_who_is_still_sending() -> Result<()> {
    let server = Server::fresh().await?;
    let document = vec![b'x'; 4_000_000];
    for length in
        [format!("content-length: {}", document.len()), "transfer-encoding: chunked".into()]
    {
        let mut stream = TcpStream::connect(server.address()).await?;
        let head = format!(
            "POST /deployment/api/mock_org/none/ HTTP/1.1\r\n\
             host: localhost\r\n\
             authorization: Bearer 0198c3f2-a7c8-4b0e-8f1d-2c3b4a596877\r\n\
             content-type: multipart/form-data; boundary=x\r\n\
             {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        stream.readable().await?;
        stream.write_all(&document).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{length}: {answer}");
    }
    Ok(())
}
