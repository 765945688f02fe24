"""Everything that makes a file in weights/: conversion, fitting, labelling."""
