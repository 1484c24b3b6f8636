// Shows the service's own OpenAPI document; every address is relative to this page.
SwaggerUIBundle({
  url: "../api/v1/openapi",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: false,
  validatorUrl: null,
});
