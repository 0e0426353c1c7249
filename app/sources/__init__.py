"""Sources of knowledge on the web: a page, a sitemap or a site, read again on a schedule."""
