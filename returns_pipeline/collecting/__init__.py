"""Collects pictures from a shop's pages into class folders for a training.

`crawl` runs Scrapy; `hosts` says where it may go; `spider` finds pictures on pages and in feeds; `storing`
checks and keeps them; `collection` knows what is there already.
"""
