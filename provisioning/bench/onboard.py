# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The pieces of MicroPython that the bench runs on a board. They touch only what they are told to."""

from __future__ import annotations

from typing import Final

# Where a port has no unique_id it raises what it likes: the board is then known without one.
_ROOM: Final = """
import os
def _lf(p):
 n=1
 for e in os.ilistdir(p):
  if e[1]&0x4000:
   n+=_lf(p+'/'+e[0])
 return n
def _lr(v):
 n=v[3]
 for p in ('/a','/b','/data','/firmware'):
  try:
   n+=2*_lf(p)
  except OSError:
   pass
 n&=0xffffffff
 return v[0]*(n if n<=v[2] else 0)
"""
"""What is free on a littlefs. MicroPython counts a folder's two blocks twice, and below zero (`update_stage.room`)."""

FACTS: Final = f"""{_ROOM}
import gc,json,sys
gc.collect()
i=sys.implementation
d={{'name':i.name,'version':list(i.version)[:3],'machine':getattr(i,'_machine',''),'mpy':getattr(i,'_mpy',0),
'platform':sys.platform,'heap':gc.mem_free()}}
try:
 import machine,binascii
 d['uid']=binascii.hexlify(machine.unique_id()).decode()
except Exception:
 pass
try:
 v=os.statvfs('/')
 d['free']=_lr(v)
 d['size']=v[1]*v[2]
 d['block']=v[0]
except OSError:
 d['free']=d['size']=0
 d['block']=1
try:
 with open('/main.py','rb') as f:
  d['head']=f.read(2000).decode()
except OSError:
 pass
print(json.dumps(d))
"""
"""Prints what the board is. It runs in a little heap and loads nothing of ours."""

HELPERS: Final = """
import binascii,gc,hashlib,json,os,sys
try:
 import deflate,io
except ImportError:
 deflate=None
for k in list(sys.modules):
 if k.startswith('firmware'):
  del sys.modules[k]
def _lh(p):
 h=hashlib.sha256()
 b=bytearray(512)
 with open(p,'rb') as f:
  while True:
   n=f.readinto(b)
   if not n:
    break
   h.update(memoryview(b)[:n])
 return binascii.hexlify(h.digest()).decode()
def _ll(p):
 try:
  return sorted(os.ilistdir(p))
 except OSError:
  return []
def _lt(p,q):
 for e in _ll(p+q):
  if e[1]&0x4000:
   _lt(p,q+'/'+e[0])
  else:
   print(_lh(p+q+'/'+e[0]),q+'/'+e[0])
def _lm(p):
 at=0
 while True:
  at=p.find('/',at+1)
  if at<0:
   break
  try:
   os.mkdir(p[:at])
  except OSError:
   pass
def _lb(t):
 return binascii.a2b_base64(t) if isinstance(t,str) else t
def _lz(t):
 try:
  return deflate.DeflateIO(io.BytesIO(_lb(t)),deflate.RAW,10).read()
 except (OSError,EOFError,ValueError):
  return b''
def _lw(p,t,mode='ab'):
 with open(p,mode) as f:
  f.write(_lb(t))
def _ln(a,b):
 try:
  os.rename(a,b)
 except OSError:
  os.remove(b)
  os.rename(a,b)
def _lx(p):
 for e in _ll(p):
  q=p+'/'+e[0]
  if e[1]&0x4000:
   _lx(q)
  else:
   os.remove(q)
 try:
  os.rmdir(p)
 except OSError:
  pass
def _lp(t,p,h):
 g=_lh(t)
 if g==h:
  _ln(t,p)
 return g
def _lc(a,b):
 d=bytearray(512)
 with open(a,'rb') as f:
  with open(b,'wb') as g:
   while True:
    n=f.readinto(d)
    if not n:
     break
    g.write(memoryview(d)[:n])
gc.collect()
"""
"""Functions that later pieces call; a reset forgets them. What arrives damaged gives a file of another hash. FAT cannot
rename over a file: there it is removed first."""

SIZES: Final = """
def _ls(p,q):
 for e in _ll(p+q):
  n=q+'/'+e[0]
  if e[1]&0x4000:
   _ls(p,n)
  else:
   print(os.stat(p+n)[6],p+n)
"""
"""Prints size and path of all files below a folder."""
FIRST_LINE: Final = """
try:
 try:
  f=open('/{slot}.lyk','rb')
  h=f.read(6)
  f.seek(6+(h[4]<<8|h[5]))
 except OSError:
  f=open('/{slot}/manifest','rb')
 print(f.readline().decode())
except OSError:
 pass
"""
"""Prints the first line of a slot's manifest, in either form of a slot."""
FREE: Final = f"{_ROOM}\nprint(_lr(os.statvfs('/')))"

FEED: Final = """
import machine
_ld=machine.WDT(timeout={timeout_ms})
_ld.feed()
for _li in (-1,0):
 try:
  _lj=machine.Timer(_li)
  _lj.init(mode=machine.Timer.PERIODIC,period={period_ms},callback=lambda t:_ld.feed())
  break
 except (ValueError,TypeError,OSError):
  pass
"""
"""A watchdog cannot be stopped; a timer keeps it quiet while the bench is at work."""

FINGERPRINT: Final = """
import binascii,hashlib
def _lf(p,k):
 k=binascii.unhexlify(k)
 i=bytes(b^0x36 for b in k)
 o=bytes(b^0x5c for b in k)
 h=hashlib.sha256(i)
 with open(p,'rb') as f:
  h.update(f.read())
 return binascii.hexlify(hashlib.sha256(o+h.digest()).digest()).decode()
"""
"""HMAC-SHA-256 (RFC 2104) of a file under a key of exactly 64 bytes, so that what is in the file never leaves it."""
