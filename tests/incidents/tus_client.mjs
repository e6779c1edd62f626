// Sends one file with tus-js-client, as a page does, and says where it lies. Everything is told in one JSON argument.
import { createRequire } from "node:module";
import { createReadStream, statSync } from "node:fs";

const { Upload } = createRequire(import.meta.url)("tus-js-client");
const told = JSON.parse(process.argv[2]);
let errors = 0;
const upload = new Upload(createReadStream(told.path), {
    endpoint: told.endpoint,
    uploadUrl: told.uploadUrl ?? null,
    headers: told.headers,
    metadata: told.metadata,
    chunkSize: told.chunkSize ?? Number.POSITIVE_INFINITY,
    uploadSize: statSync(told.path).size,
    uploadDataDuringCreation: told.uploadDataDuringCreation ?? false,
    retryDelays: told.retryDelays,
    overridePatchMethod: told.overridePatchMethod ?? false,
    storeFingerprintForResuming: false,
    onShouldRetry: (error) => {
        errors += 1;
        const status = error.originalResponse ? error.originalResponse.getStatus() : 0;
        return status < 400 || status >= 500 || status === 409 || status === 423;
    },
    onError: (error) => {
        console.log(JSON.stringify({ error: String(error), errors }));
        process.exit(1);
    },
    onSuccess: () => {
        console.log(JSON.stringify({ url: upload.url, errors }));
        process.exit(0);
    },
});
upload.start();
setTimeout(() => process.exit(2), told.limit ?? 120_000).unref();
