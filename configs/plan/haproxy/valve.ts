import type { TextPart } from "../types";
export function valveConfig(o: {
  model: string;
  backend: { name: string; port: number; healthPath: string };
  holdSeconds: number;
}): TextPart[] {
  return [
    `global
  log stdout format raw local0 info
  lua-load-per-thread /etc/gpubox/hold.lua
resolvers docker
  nameserver d 127.0.0.11:53
defaults
  mode http
  timeout connect 3s
  timeout client 15m
  timeout server 15m
frontend f
  bind :8080
  default_backend b
backend b
  server s ${o.backend.name}:${o.backend.port} check init-addr none resolvers docker
`,
  ];
}
