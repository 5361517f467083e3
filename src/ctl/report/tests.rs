#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use super::*;

#[test]
fn an_id_is_hidden_in_each_form_and_has_one_hash_a_machine() {
    let mut ids = Ids::keyed([1; 16]);
    ids.learn("client-id", "SN-000123");
    ids.learn("project-name", "My  \"Film\"\t2");
    ids.learn("project-id", "7");
    let hash = ids.hash("client-id", "SN-000123");
    let text = ids.hide("SN-000123, camSN-000123x, Paired with My \"Film\" 2, {\"My  \\\"Film\\\"\\t2\"}, 7 of 17");
    assert!(!text.contains("000123") && !text.contains("Film"), "{text}");
    assert!(text.ends_with("> of 17"), "a short one is replaced as a word: {text}");
    assert_eq!(text.matches(&hash).count(), 2);
    assert_ne!(Ids::keyed([2; 16]).hash("client-id", "SN-000123"), hash);
}

#[test]
fn an_entry_of_the_journal_has_the_fields_that_are_named_and_no_other() {
    let ids = Ids::keyed([0; 16]);
    let entries = concat!(
        r#"{"__REALTIME_TIMESTAMP":"1793491200000000","PRIORITY":"6","SYSLOG_IDENTIFIER":"c2c-authd","_PID":"7","#,
        r#""MESSAGE":"Refreshed.","C2C_EVENT":"refreshed","C2C_GENERATION":"2","_BOOT_ID":"hush","_CMDLINE":"hush"}"#,
        "\nhush\n",
        r#"{"__REALTIME_TIMESTAMP":"1793491100000000","MESSAGE":[104,117],"C2C_STATE":["a","b"]}"#,
        "\n",
    );
    let told = journal::lines(&ids, entries.as_bytes(), 10_000);
    let (older, newer) = told.split_once('\n').unwrap();
    assert!(older.starts_with("2026-10-31T23:58:20Z <> []: "), "{told}");
    assert!(
        newer.starts_with(
            "2026-11-01T00:00:00Z <6> c2c-authd[7]: Refreshed. C2C_EVENT=refreshed C2C_GENERATION=2 BOOT=<boot:"
        ),
        "{told}"
    );
    assert!(!told.contains("hush"), "{told}");
    let newest = journal::lines(&ids, entries.as_bytes(), newer.len());
    assert_eq!(newest, newer, "the newest first, where there is no room");
}

#[test]
fn a_line_of_a_unit_that_systemd_quotes_is_left_out() {
    let entry = concat!(
        r#"{"__REALTIME_TIMESTAMP":"1793491200000000","SYSLOG_IDENTIFIER":"systemd","CONFIG_FILE":"/etc/a.conf","#,
        r#""MESSAGE":"/etc/a.conf:3: Invalid environment assignment, ignoring: http://hush@10.0.0.1"}"#,
    );
    let told = journal::lines(&Ids::keyed([0; 16]), entry.as_bytes(), 10_000);
    assert!(
        told.contains("systemd[]: /etc/a.conf: ") && !told.contains("hush"),
        "{told}"
    );
}

#[test]
fn the_project_of_the_daemons_sentence_is_hidden_also_where_the_daemon_is_silent() {
    for (unit, project) in [
        (
            "LoadState=loaded\nStatusText=Paired with \"Film\"; valid.\n",
            Some("Film"),
        ),
        ("StatusText=Paired with \"A \"B\" C\"; valid.\n", Some("A \"B\" C")),
        ("StatusText=Paired.\nFragmentPath=\"x\"\n", None),
    ] {
        assert_eq!(project_in(unit), project, "{unit}");
    }
}

#[test]
fn the_name_of_a_host_is_hidden_as_a_word_of_its_own() {
    let mut ids = Ids::keyed([1; 16]);
    ids.learn("host-name", "camera");
    let text = ids.hide("org.cameratocloud.Auth1 on camera");
    assert!(text.starts_with("org.cameratocloud.Auth1 on <host-name:"), "{text}");
}

#[test]
fn a_part_that_is_too_long_is_cut_and_says_so() {
    let long = "ü".repeat(PART);
    let told = cut(long, PART);
    assert!(told.len() <= PART && told.ends_with("(the rest is left out)\n"));
    assert_eq!(cut("short".to_owned(), PART), "short");
}
