//! The service as a Rust programmer would write it: axum and mysql_async, each statement prepared once on each connection.
use std::env::var;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{Datelike, NaiveDate, Utc};
use mysql_async::prelude::Queryable;
use mysql_async::{OptsBuilder, Pool, PoolConstraints, PoolOpts};
use serde::Deserialize;
use serde_json::json;

const POOL_SIZE: usize = 10;
const FIND: &str = "SELECT date_of_birth FROM users WHERE username = ?";
const SAVE: &str = "INSERT INTO users (username, date_of_birth) VALUES (?, ?) \
                    ON DUPLICATE KEY UPDATE date_of_birth = VALUES(date_of_birth)";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Birth {
    date_of_birth: NaiveDate,
}

#[tokio::main]
async fn main() {
    let environment = |name: &str| var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let number = |name: &str| environment(name).parse::<u16>().unwrap_or_else(|_| panic!("{name} is not a port"));
    let constraints = PoolConstraints::new(POOL_SIZE, POOL_SIZE).expect("a pool of a fixed size");
    let options = OptsBuilder::default()
        .ip_or_hostname(environment("DATABASE_HOST"))
        .tcp_port(number("DATABASE_PORT"))
        .user(Some(environment("DATABASE_USERNAME")))
        .pass(Some(environment("DATABASE_PASSWORD")))
        .db_name(Some(environment("DATABASE_NAME")))
        // A request resets nothing on its connection, so the next one needs no reset either.
        .pool_opts(PoolOpts::new().with_constraints(constraints).with_reset_connection(false));
    let router = Router::new().route("/hello/{username}", get(read).put(write)).with_state(Pool::new(options));
    let listener = tokio::net::TcpListener::bind(("0.0.0.0", number("PORT"))).await.expect("a free port");
    axum::serve(listener, router).await.expect("a server");
}

async fn read(State(pool): State<Pool>, Path(name): Path<String>) -> Response {
    if !is_username(&name) {
        return problem(StatusCode::BAD_REQUEST, "username");
    }
    match find(&pool, &name).await {
        Ok(Some(born)) => Json(json!({ "message": greeting(&name, born, Utc::now().date_naive()) })).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "unknown"),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "database"),
    }
}

async fn write(State(pool): State<Pool>, Path(name): Path<String>, body: Json<Birth>) -> Response {
    let born = body.date_of_birth;
    if !is_username(&name) || born >= Utc::now().date_naive() || born.year() < 1000 {
        return problem(StatusCode::BAD_REQUEST, "body");
    }
    match save(&pool, &name, born).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "database"),
    }
}

async fn find(pool: &Pool, name: &str) -> mysql_async::Result<Option<NaiveDate>> {
    let mut connection = pool.get_conn().await?;
    connection.exec_first(FIND, (name,)).await
}

async fn save(pool: &Pool, name: &str, born: NaiveDate) -> mysql_async::Result<()> {
    let mut connection = pool.get_conn().await?;
    connection.exec_drop(SAVE, (name, born)).await
}

fn problem(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

fn is_username(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn greeting(name: &str, born: NaiveDate, today: NaiveDate) -> String {
    let next = birthday(born, today.year());
    let next = if next < today { birthday(born, today.year() + 1) } else { next };
    match (next - today).num_days() {
        0 => format!("Hello, {name}! Happy birthday!"),
        days => format!("Hello, {name}! Your birthday is in {days} day(s)"),
    }
}

/// The birthday in a year: 1 March for 29 February in a common year.
fn birthday(born: NaiveDate, year: i32) -> NaiveDate {
    let march = NaiveDate::from_ymd_opt(year, 3, 1).expect("1 March");
    NaiveDate::from_ymd_opt(year, born.month(), born.day()).unwrap_or(march)
}
