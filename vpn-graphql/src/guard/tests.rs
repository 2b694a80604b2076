use std::time::{Duration, Instant};

use async_graphql::{Request, Variables, parser::types::OperationType};

use super::{DocumentLimits, admit};

/// The code of the refusal, or the kind of the operation; never slowly.
fn verdict(document: &str) -> Result<OperationType, String> {
    let begun = Instant::now();
    let outcome = admit(&mut Request::new(document), &DocumentLimits::default());
    assert!(begun.elapsed() < Duration::from_secs(10), "slow: {}", &document[..document.len().min(80)]);
    outcome.map_err(|error| {
        let extensions = error.extensions.expect("extensions");
        extensions.get("code").expect("a code").to_string().trim_matches('"').to_owned()
    })
}

/// Fragments `F0` … that each spread the next one `times` times.
fn chain(length: usize, times: usize, last: &str) -> String {
    let link = |i: usize| format!("fragment F{i} on Query {{ {}}}", format!("...F{} ", i + 1).repeat(times));
    let links: Vec<String> = (0..length).map(link).collect();
    format!("query Q {{ ...F0 }} {} fragment F{length} on Query {{ {last} }}", links.join("\n"))
}

#[test]
fn ordinary_documents_pass_and_are_told_apart() {
    assert_eq!(verdict("{ a { b } }"), Ok(OperationType::Query));
    assert_eq!(verdict("mutation { a { b } }"), Ok(OperationType::Mutation));
    assert_eq!(verdict("subscription { a { b } }"), Ok(OperationType::Subscription));
    assert_eq!(verdict(&chain(10, 1, "a")), Ok(OperationType::Query));
}

#[test]
fn a_tower_of_brackets_is_refused_before_parsing() {
    for bracket in ["[", "{", "("] {
        let tower = bracket.repeat(2_000);
        assert_eq!(verdict(&format!("{{ a(b: {tower}")), Err("DOCUMENT_TOO_DEEP".into()));
    }
}

#[test]
fn a_long_document_is_refused_before_parsing() {
    assert_eq!(verdict(&format!("{{ a }} #{}", "x".repeat(32 * 1024))), Err("DOCUMENT_TOO_LARGE".into()));
}

#[test]
fn doubling_fragments_are_refused_whatever_they_end_in() {
    for last in ["a", "__typename", "...Nowhere"] {
        assert_eq!(verdict(&chain(50, 2, last)), Err("DOCUMENT_TOO_COMPLEX".into()), "{last}");
    }
}

#[test]
fn a_long_chain_of_fragments_is_refused_used_or_not() {
    let used = chain(500, 1, "a");
    assert_eq!(verdict(&used), Err("GRAPHQL_VALIDATION_FAILED".into()));
    let unused = used.replacen("...F0", "a", 1);
    assert_eq!(verdict(&unused), Err("GRAPHQL_VALIDATION_FAILED".into()));
}

#[test]
fn fragments_that_contain_themselves_are_refused_used_or_not() {
    for document in [
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
        "{ a } fragment A on Query { ...B } fragment B on Query { ...A }",
        "{ ...A } fragment A on Query { a { ...A } }",
    ] {
        assert_eq!(verdict(document), Err("GRAPHQL_VALIDATION_FAILED".into()), "{document}");
    }
}

#[test]
fn aliases_fields_and_mutations_are_counted() {
    let many = |n: usize, text: &str| (0..n).map(|i| text.replace('#', &i.to_string())).collect::<Vec<_>>().join(" ");
    assert_eq!(verdict(&format!("{{ {} }}", many(30, "a#: b"))), Ok(OperationType::Query));
    assert_eq!(verdict(&format!("{{ {} }}", many(31, "a#: b"))), Err("DOCUMENT_TOO_COMPLEX".into()));
    assert_eq!(verdict(&format!("{{ {} }}", many(401, "a#"))), Err("DOCUMENT_TOO_COMPLEX".into()));
    assert_eq!(verdict(&format!("mutation {{ {} }}", many(11, "a#"))), Err("DOCUMENT_TOO_COMPLEX".into()));
    assert_eq!(verdict(&many(41, "query Q# { a }")), Err("DOCUMENT_TOO_COMPLEX".into()));
}

#[test]
fn introspection_may_not_multiply_itself() {
    let nested =
        "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }";
    assert_eq!(verdict(nested), Err("DOCUMENT_TOO_COMPLEX".into()));
}

#[test]
fn the_schema_is_not_told_where_it_may_not_be_asked_for() {
    let limits = DocumentLimits { introspect: false, ..DocumentLimits::default() };
    let ask = |document: &str| admit(&mut Request::new(document), &limits).map_err(|error| error.message);
    for document in [
        "{ __schema { types { name } } }",
        "{ a: __type(name: \"Query\") { name } }",
        "{ ...F } fragment F on Query { ... { __schema { types { name } } } }",
        "query A { b } query B { __schema { types { name } } }",
    ] {
        assert!(ask(document).expect_err(document).contains("does not tell its schema"));
    }
    assert_eq!(ask("{ __typename a { __typename } }"), Ok(OperationType::Query));
}

#[test]
fn an_unknown_directive_on_typename_is_refused() {
    assert_eq!(verdict("{ __typename @nonsense }"), Err("GRAPHQL_VALIDATION_FAILED".into()));
    assert_eq!(verdict("{ __typename @skip(if: false) }"), Ok(OperationType::Query));
}

#[test]
fn defaults_of_variables_are_put_in() {
    let mut request = Request::new("query($yes: Boolean = true, $no: Boolean) { a @skip(if: $yes) }");
    admit(&mut request, &DocumentLimits::default()).expect("admitted");
    assert_eq!(request.variables.len(), 1);
}

#[test]
fn a_variable_that_must_have_a_value_is_missed_before_anything_is_done() {
    let document = "query($a: Int!, $b: Int! = 1, $c: Int) { x(a: $a, b: $b, c: $c) }";
    assert_eq!(verdict(document), Err("BAD_USER_INPUT".into()));
    let mut request = Request::new(document).variables(Variables::from_json(serde_json::json!({ "a": 1 })));
    assert!(admit(&mut request, &DocumentLimits::default()).is_ok());
}
