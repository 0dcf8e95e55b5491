#!/usr/bin/env node
// The code that V8 compiled is kept between runs: most of the time of a short command is loading.
import { enableCompileCache } from 'node:module';

enableCompileCache();
await import('../dist/main.js');
