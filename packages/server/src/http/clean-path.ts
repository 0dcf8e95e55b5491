/** Where a path leads that is not clean. */

/**
 * The path without empty segments, `.` and `..`, as Go's servers clean it before they look for a route; a slash at the end
 * stays. `//health` is what a client asks for whose address ends with a slash.
 */
export function cleanPath(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  const isFolder = kept.length > 0 && path.endsWith('/');
  return `/${kept.join('/')}${isFolder ? '/' : ''}`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};

/** The page that says so, for people. */
export function movedPage(location: string): string {
  const href = location.replaceAll(/[&<>"']/g, (character) => ESCAPES[character]!);
  return `<a href="${href}">Moved Permanently</a>.\n\n`;
}
