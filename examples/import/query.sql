-- For `keydock import --query`: gives the keys of another product as rows with the columns that
-- `keydock import --help` names. Put the names of that product's tables and columns into it; those
-- here stand for them. Nothing in that database is changed.
SELECT 'platform'                            AS kind,
       o.organization_id                     AS organization,
       k.key_name                            AS name,
       NULL                                  AS description,
       CAST(k.key AS TEXT)                   AS secret,
       NULL                                  AS deployment,
       NULL                                  AS permission,
       k.is_active                           AS active,
       NULL                                  AS created_at
FROM platform_keys_of_the_product k
JOIN organizations_of_the_product o ON o.id = k.organization
UNION ALL
SELECT 'deployment', o.organization_id, NULL, k.description, CAST(k.api_key AS TEXT), d.api_name, NULL,
       k.is_active, CAST(k.created_at AS TEXT)
FROM deployment_keys_of_the_product k
JOIN deployments_of_the_product d ON d.id = k.api
JOIN organizations_of_the_product o ON o.id = d.organization
