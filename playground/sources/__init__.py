"""stand-in"""
from playground.sources.mbtiles import MBTilesSource
def open_source(text):
    return MBTilesSource(text)
