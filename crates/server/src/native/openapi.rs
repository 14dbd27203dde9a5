//! The description of the whole API, made from the one table of routes.

use axum::Json;
use axum::http::Method;
use lw_core::Kind;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, PathsBuilder, Ref, Required,
    ResponseBuilder, Type,
};

use crate::route::{self, Action, Route};

pub fn routes() -> Vec<Route> {
    vec![Route::get("/api/v1/openapi.json", Action::Connect, "process", openapi).summary("This description")]
}

async fn openapi() -> Json<OpenApi> {
    Json(describe(&route::routes().into_iter().filter(route::Route::is_native).collect::<Vec<_>>()))
}

/// Describes routes in OpenAPI 3.1.
pub fn describe(routes: &[Route]) -> OpenApi {
    let mut paths = PathsBuilder::new();
    for route in routes {
        let method = if route.method == Method::POST { HttpMethod::Post } else { HttpMethod::Get };
        paths = paths.path(route.path, utoipa::openapi::PathItem::new(method, operation(route)));
    }
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components = ComponentsBuilder::new().security_scheme("token", bearer).schema("Problem", problem()).build();
    let info = InfoBuilder::new()
        .title("Loopwright")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("The whole life of machine-learning models as one governed loop."));
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components)).build()
}

fn operation(route: &Route) -> OperationBuilder {
    let failed = ResponseBuilder::new()
        .description("A problem document (RFC 9457)")
        .content("application/problem+json", ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build());
    let mut operation = OperationBuilder::new()
        .summary(Some(route.summary))
        .tag(route.resource)
        .operation_id(Some(operation_id(route)))
        .extensions(Some(ExtensionsBuilder::new().add("x-loopwright-action", route.action.name()).build()))
        .response("200", ResponseBuilder::new().description("The answer"))
        .response("default", failed);
    for name in parameters(route.path) {
        let text = ObjectBuilder::new().schema_type(Type::String);
        operation = operation.parameter(
            ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True).schema(Some(text)),
        );
    }
    if route.method == Method::POST {
        let any = ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::Object))).build();
        operation = operation.request_body(Some(RequestBodyBuilder::new().content("application/json", any).build()));
    }
    if route.action == Action::Probe {
        return operation;
    }
    operation.security(SecurityRequirement::new("token", Vec::<String>::new()))
}

/// `post_api_v1_endpoints_name_predict`.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once(route.method.as_str().to_lowercase()).chain(words.map(str::to_owned)).collect::<Vec<_>>().join("_")
}

fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn problem() -> ObjectBuilder {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let kinds = [Kind::Invalid, Kind::NotFound, Kind::Conflict, Kind::Unauthenticated, Kind::Forbidden, Kind::Refused];
    let kinds =
        kinds.into_iter().filter_map(|kind| serde_json::to_value(kind).ok()?.as_str().map(str::to_owned)).collect::<Vec<_>>();
    ObjectBuilder::new()
        .property("type", text())
        .property("title", text())
        .property("status", ObjectBuilder::new().schema_type(Type::Integer))
        .property("detail", text())
        .property("code", text().description(Some("Names a page: `loopwright explain CODE`")))
        .property("kind", text().description(Some(format!("Such as {}", kinds.join(", ")))))
        .property("hint", text().description(Some("What to do next")))
        .required("code")
        .required("status")
}
