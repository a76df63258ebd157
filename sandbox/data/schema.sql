-- The platform's database. Owned by role media; the superuser stays out of the services' reach.

create function words(parts text[]) returns text immutable parallel safe language sql
    return array_to_string(parts, ' ');

create table content (
    id text primary key,
    number integer not null unique,
    title text not null,
    overview text not null,
    release_year integer not null,
    genres text[] not null,
    platforms text[] not null,
    popularity_score real not null,
    search tsvector generated always as (
        setweight(to_tsvector('english', title), 'A') || to_tsvector('english', words(genres) || ' ' || overview)
    ) stored
);
create index content_search on content using gin (search);
create index content_popularity on content (popularity_score desc);

create table content_availability (
    content_id text not null references content,
    region text not null,
    platform text not null,
    primary key (content_id, region, platform)
);

create table users (
    id text primary key,
    email text not null unique,
    tier text not null,
    password_hash text not null
);

create table sessions (
    id text primary key,
    user_id text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked boolean not null default false
);
create index sessions_user on sessions (user_id);

-- An OR-Set: an element is in the set while it has an add tag that no remove has seen.
create table watchlist (
    user_id text not null,
    content_id text not null,
    add_tags text[] not null default '{}',
    removed_tags text[] not null default '{}',
    updated_hlc text not null,
    primary key (user_id, content_id)
);

-- A last-writer-wins register, ordered by hybrid logical clock.
create table progress (
    user_id text not null,
    content_id text not null,
    position_seconds integer not null,
    duration_seconds integer not null,
    state text not null,
    hlc text not null,
    device_id text not null,
    primary key (user_id, content_id)
);

-- Operations that were accepted: one that comes again does nothing.
create table sync_operations (
    user_id text not null,
    operation_id text not null,
    hlc text not null,
    created_at timestamptz not null default now(),
    primary key (user_id, operation_id)
);

create table sync_outbox (
    id bigserial primary key,
    user_id text not null,
    channel text not null,
    operation_id text not null unique,
    message jsonb not null,
    created_at timestamptz not null default now()
);
