// The interactive documentation of the REST interface.
"use strict";
const docs = document.getElementById("docs");
SwaggerUIBundle({ url: docs.dataset.url, domNode: docs, deepLinking: true, tryItOutEnabled: true });
