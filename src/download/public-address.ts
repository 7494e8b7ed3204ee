import ipaddr from 'ipaddr.js';

/** 64:ff9b::/96, by which networks without IPv4 reach the IPv4 address in its last four bytes. */
const nat64 = ipaddr.parseCIDR('64:ff9b::/96') as [ipaddr.IPv6, number];

/**
 * Whether an IP address belongs to the public internet: not loopback, private, link-local, multicast, reserved or carrier
 * space. IPv4 addresses inside IPv6 ones count as themselves. Text that is no IP address is not public.
 */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.process(text); // ::ffff:a.b.c.d becomes a.b.c.d
  if (address.kind() === 'ipv6' && (address as ipaddr.IPv6).match(nat64)) {
    return isPublicAddress((address as ipaddr.IPv6).toByteArray().slice(12).join('.'));
  }
  return address.range() === 'unicast';
}

/** A URL's host as an IP address, if it is one; the URL parser has brought decimal, octal and short forms into this one. */
export function literalAddress(hostname: string): string | undefined {
  const text = hostname.replace(/^\[|\]$/g, '');
  return ipaddr.isValid(text) ? text : undefined;
}
