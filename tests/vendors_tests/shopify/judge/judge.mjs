// Asks a shop by Shopify's own client: judge.mjs ADDRESS TOKEN ITEM LOCATION. Prints one line of JSON.
import { createAdminApiClient } from "@shopify/admin-api-client";

const [address, accessToken, item, location] = process.argv.slice(2);
const domain = "corner-shop.myshopify.com";
const here = (url, init) => fetch(url.replace(`https://${domain}`, address), init);

function clientWith(token) {
  return createAdminApiClient({
    storeDomain: domain, apiVersion: "2026-10", accessToken: token, customFetchApi: here, retries: 0,
  });
}

const ORDERS = "{ shop { name } orders(first: 5, sortKey: UPDATED_AT) { nodes { lineItems(first: 5) { nodes { quantity sku } } } } }";
const SET = `mutation Set($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { changes { name delta } }
    userErrors { code }
  }
}`;
const row = {
  inventoryItemId: `gid://shopify/InventoryItem/${item}`,
  locationId: `gid://shopify/Location/${location}`,
  quantity: 9,
  changeFromQuantity: 3,
};

const client = clientWith(accessToken);
const orders = await client.request(ORDERS);
const variables = { key: "a", input: { name: "available", reason: "correction", quantities: [row] } };
const written = await client.request(SET, { variables });
const wrong = await client.request("{ shop { nothing } }");
const stranger = await clientWith("shpat_x").request("{ shop { name } }");

console.log(JSON.stringify({
  sold: orders.data.orders.nodes.map((one) => one.lineItems.nodes.map((line) => [line.sku, line.quantity])),
  changes: written.data.inventorySetQuantities.inventoryAdjustmentGroup.changes,
  userErrors: written.data.inventorySetQuantities.userErrors,
  throttled: "throttleStatus" in orders.extensions.cost,
  wrong: wrong.errors.graphQLErrors[0].extensions.code,
  stranger: stranger.errors.networkStatusCode,
}));
