//! The page lets a person approve or deny, as a browser would.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::client::{Answer, Client, server};
use c2c_testkit::{page::Page, server::Server};

fn exchange(page: &Page, request: &str, body: &str) -> String {
    let address = page.plain_url().replace("http://", "").replace("/pair", "");
    let mut stream = TcpStream::connect(&address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

async fn shown_code(server: &Server) -> (Client, Answer) {
    let mut client = Client::connect(server).await.unwrap();
    let code = client.code().await.unwrap();
    (client, code)
}

#[tokio::test]
async fn the_link_leads_to_the_device_and_a_click_approves_it() {
    let server = server();
    let page = Page::open(&server).unwrap();
    let (mut client, code) = shown_code(&server).await;
    let link = code.text("verification_uri_complete");
    let path = link.strip_prefix("https://").unwrap().split_once('/').unwrap().1;
    let asked = exchange(&page, &format!("GET /{path}"), "");
    assert!(
        asked.starts_with("HTTP/1.1 200") && asked.contains(&code.text("name")),
        "{asked}"
    );
    let decided = exchange(
        &page,
        "POST /pair",
        &format!("code={}&do=approve", code.text("user_code")),
    );
    assert!(decided.contains("Approved"), "{decided}");
    assert_eq!(client.poll(&code.text("device_code")).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_typed_code_can_be_denied() {
    let server = server();
    let page = Page::open(&server).unwrap();
    let (mut client, code) = shown_code(&server).await;
    let user_code = code.text("user_code");
    assert!(exchange(&page, "GET /", "").contains("six digits"));
    let asked = exchange(&page, "POST /pair", &format!("code={user_code}&do=ask"));
    assert!(asked.contains(&code.text("name")), "{asked}");
    assert!(exchange(&page, "POST /pair", &format!("code={user_code}&do=deny")).contains("Denied"));
    assert_eq!(
        client.poll(&code.text("device_code")).await.unwrap().text("error"),
        "access_denied"
    );
    let late = exchange(&page, "POST /pair", &format!("code={user_code}&do=approve"));
    assert!(late.contains("answered before"), "{late}");
}

#[test]
fn any_other_path_of_the_page_is_not_found() {
    let page = Page::open(&server()).unwrap();
    assert!(exchange(&page, "GET /etc/passwd", "").starts_with("HTTP/1.1 404"));
}
