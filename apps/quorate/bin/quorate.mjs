#!/usr/bin/env -S node --max-semi-space-size=32 --initial-old-space-size=128
import { keepCompiledCode } from '../dist/compiled-code.js';

keepCompiledCode(process.env);
await import('../dist/main.js');
